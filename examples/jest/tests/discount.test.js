'use strict';

const { discounted } = require('../src/discount');

describe('discounted', () => {
  test.each([
    [1000, 0, 1000],
    [1000, 15, 850],
    [1000, 100, 0],
  ])('%i cents less %i %% are %i', (cents, percent, expected) => {
    expect(discounted(cents, percent)).toBe(expected);
  });

  test('fractions of a cent are the customer\'s', () => {
    expect(discounted(999, 50)).toBe(499);
  });

  test('more than everything is refused', () => {
    expect(() => discounted(1000, 101)).toThrow(RangeError);
  });
});
