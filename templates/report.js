// Filters of the report. Their state is the address's fragment (#outcome=failed,flaky&text=cart), so that a view can be
// linked to. Reads the document and writes nothing into it but attributes and the count.
(() => {
  'use strict';
  document.documentElement.classList.add('js');
  const tests = Array.from(document.querySelectorAll('.test'));
  const chips = Array.from(document.querySelectorAll('.chip'));
  const bars = Array.from(document.querySelectorAll('[data-test]'));
  const search = document.getElementById('search');
  const texts = new Map();
  const state = { outcomes: new Set(), text: '' };

  const textOf = (test) => {
    if (!texts.has(test)) {
      const parts = Array.from(test.querySelectorAll('[data-s]'), (part) => part.textContent);
      texts.set(test, parts.join('\n').toLowerCase());
    }
    return texts.get(test);
  };

  const apply = () => {
    const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = new Set();
    for (const test of tests) {
      const wanted = state.outcomes.size === 0 || state.outcomes.has(test.dataset.outcome);
      const visible = wanted && words.every((word) => textOf(test).includes(word));
      test.hidden = !visible;
      if (visible) shown.add(test.id);
    }
    for (const bar of bars) bar.classList.toggle('dim', !shown.has('test-' + bar.dataset.test));
    for (const chip of chips) {
      const outcome = chip.dataset.outcome;
      const pressed = outcome === '' ? state.outcomes.size === 0 : state.outcomes.has(outcome);
      chip.setAttribute('aria-pressed', String(pressed));
    }
    document.getElementById('shown').textContent = shown.size + ' of ' + tests.length + ' shown';
    document.getElementById('none').hidden = shown.size > 0 || tests.length === 0;
  };

  const remember = () => {
    const parts = [];
    if (state.outcomes.size > 0) parts.push('outcome=' + Array.from(state.outcomes).join(','));
    if (state.text !== '') parts.push('text=' + encodeURIComponent(state.text));
    try {
      history.replaceState(null, '', parts.length > 0 ? '#' + parts.join('&') : location.pathname + location.search);
    } catch {
      // A sandboxed frame may have no history: the filters work without.
    }
  };

  const open = (test) => {
    if (test.hidden) {
      state.outcomes.clear();
      state.text = search.value = '';
      apply();
    }
    test.open = true;
    test.scrollIntoView({ block: 'start' });
    test.querySelector('summary').focus({ preventScroll: true });
  };

  const read = () => {
    const fragment = location.hash.slice(1);
    const test = /^test-\d+$/.test(fragment) && document.getElementById(fragment);
    if (test) {
      open(test);
      return;
    }
    const values = new URLSearchParams(fragment);
    const known = new Set(chips.map((chip) => chip.dataset.outcome).filter(Boolean));
    const asked = (values.get('outcome') || '').split(',').filter(Boolean);
    state.outcomes = new Set(asked.filter((outcome) => known.has(outcome)));
    state.text = search.value = values.get('text') || '';
    apply();
  };

  for (const chip of chips) {
    chip.addEventListener('click', () => {
      const outcome = chip.dataset.outcome;
      if (outcome === '') state.outcomes.clear();
      else if (!state.outcomes.delete(outcome)) state.outcomes.add(outcome);
      apply();
      remember();
    });
  }
  search.addEventListener('input', () => {
    state.text = search.value.trim();
    apply();
    remember();
  });
  const setAll = (value) => tests.forEach((test) => { if (!test.hidden) test.open = value; });
  document.getElementById('expand').addEventListener('click', () => setAll(true));
  document.getElementById('collapse').addEventListener('click', () => setAll(false));

  const step = (distance) => {
    const visible = tests.filter((test) => !test.hidden);
    const at = visible.findIndex((test) => test.contains(document.activeElement));
    const next = visible[at < 0 ? (distance > 0 ? 0 : visible.length - 1) : at + distance];
    if (next) next.querySelector('summary').focus();
  };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === search) {
      if (event.key === 'Escape') {
        search.value = '';
        search.dispatchEvent(new Event('input'));
        search.blur();
      }
      return;
    }
    if (event.key === '/') {
      event.preventDefault();
      search.focus();
    } else if (event.key === 'j') step(1);
    else if (event.key === 'k') step(-1);
  });
  window.addEventListener('hashchange', read);
  read();
})();
