// What the test wants to know of the page that is shown. It runs in the browser's own
// tools, not in the page.
(() => {
  const all = [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && e.getClientRects().length > 0);

  // Contrast, as WCAG 2 defines it.
  const rgba = text => { const n = (text.match(/[\d.]+/g) || []).map(Number); return n.length === 3 ? [...n, 1] : n; };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const behind = e => {
    for (; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  const pale = [];
  for (const e of all) {
    const style = getComputedStyle(e);
    const text = [...e.childNodes].filter(n => n.nodeType === Node.TEXT_NODE).map(n => n.textContent.trim()).join(' ').trim();
    const bar = e.matches('rect.failure, rect.success');
    if (!text && !bar) continue;
    const colour = rgba(e instanceof SVGElement ? style.fill : style.color);
    const ratio = contrast(colour, behind(e));
    if (ratio < (bar ? 3 : 4.5)) pale.push(`${e.tagName} ${e.getAttribute('class')} ${text}: ${ratio.toFixed(2)}`);
  }

  const named = e => (e.getAttribute('aria-labelledby') || '').split(' ').filter(id => document.getElementById(id)?.textContent.trim()).length >= 2;
  const width = document.documentElement.clientWidth;
  return {
    Scripts: document.scripts.length + all.filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length,
    Sources: document.querySelectorAll('section').length,
    Charts: document.querySelectorAll('svg.day').length,
    Bars: document.querySelectorAll('svg.day rect.success, svg.day rect.failure').length,
    Rows: document.querySelectorAll('tbody tr').length,
    Styled: document.styleSheets.length === 1 && document.styleSheets[0].cssRules.length > 20,
    Overflow: document.documentElement.scrollWidth - width,
    Pale: [...new Set(pale)],
    Unnamed: [...document.querySelectorAll('svg:not([aria-hidden]), img')].filter(e => !named(e)).map(e => e.outerHTML.slice(0, 80)),
    Outside: all.filter(e => e.getBoundingClientRect().right > width + 1).map(e => `${e.tagName} ${e.className.baseVal ?? e.className}`),
    // Text at the window's edge: the margins are gone.
    Edge: all.filter(e => e.matches('h1, h2, p, summary') && (e.getBoundingClientRect().left < 8 || e.getBoundingClientRect().right > width - 8)).map(e => `${e.tagName} ${e.textContent.slice(0, 40)}`),
    Back: getComputedStyle(document.body).backgroundColor,
    Text: document.body.innerText,
  };
})()
