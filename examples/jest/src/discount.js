'use strict';

/** Cents to pay after a discount in percent, in favour of the customer. */
function discounted(cents, percent) {
  if (percent < 0 || percent > 100) {
    throw new RangeError(`a discount of ${percent} %`);
  }
  return Math.floor((cents * (100 - percent)) / 100);
}

module.exports = { discounted };

if (require.main === module) {
  console.log(discounted(1999, 15));
}
