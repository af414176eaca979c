// SPDX-License-Identifier: Apache-2.0
//
// Light, dark, or as the system has it. A classic script, run before anything is drawn, so that the page does not
// flash; the rest of the page talks to window.mesetaTheme.
(() => {
  const KEY = 'meseta.theme';
  const read = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is forbidden: the theme lasts as long as the page
    }
  };
  let choice = ['light', 'dark'].includes(read()) ? read() : 'auto';
  const apply = () => {
    if (choice === 'auto') document.documentElement.removeAttribute('data-theme');
    else document.documentElement.dataset.theme = choice;
  };
  apply();
  window.mesetaTheme = {
    get: () => choice,
    set(value) {
      choice = value;
      try {
        if (value === 'auto') localStorage.removeItem(KEY);
        else localStorage.setItem(KEY, value);
      } catch {
        // as above
      }
      apply();
    },
  };
})();
