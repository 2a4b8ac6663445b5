"""What a person who sees little, hears the page or uses no mouse would stumble over, measured in the browser.

WCAG 2.2: 1.3.1 labels and landmarks, 1.4.3 contrast, 1.4.10 reflow, 2.4.7 visible focus, 2.5.8 target size, 3.1.1
language, 4.1.2 names.
"""

from typing import Any

from playwright.sync_api import Page

_LOOK = """() => {
  const faults = [];
  const shown = (one) => one.checkVisibility() && one.getClientRects().length > 0;
  const say = (what, one) => faults.push(what + ": " + one.outerHTML.slice(0, 90));
  const named = (one) =>
    one.getAttribute("aria-label") || one.getAttribute("aria-labelledby") || one.innerText.trim() || one.title;

  if (!document.documentElement.lang) faults.push("no language");
  if (!document.title.trim()) faults.push("no title");
  for (const [tag, count] of [["h1", 1], ["main", 1], ["header", 1], ["footer", 1]]) {
    if (document.querySelectorAll(tag).length !== count) faults.push("not one " + tag);
  }
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (shown(field) && !field.labels.length && !field.getAttribute("aria-label")) say("no label", field);
  }
  for (const one of document.querySelectorAll("a, button, summary, section[aria-labelledby], nav, fieldset")) {
    if (shown(one) && !named(one)) say("no name", one);
  }
  for (const one of document.querySelectorAll("[role=img], svg")) {
    if (shown(one) && !one.closest("[aria-label]")) say("a picture without words", one);
  }
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  if (new Set(ids).size !== ids.length) faults.push("an id twice");

  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [red, green, blue] = parts(colour).map((part) =>
      part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = (one) => {
    for (let each = one; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      const alpha = parts(colour)[3];
      if (alpha === undefined || alpha > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !shown(one) || one.closest("script, style, noscript")) continue;
    const [light, dark] = [luminance(getComputedStyle(one).color), luminance(ground(one))].sort((a, b) => b - a);
    if ((light + 0.05) / (dark + 0.05) < 4.5) say("too little contrast", one);
  }
  for (const one of document.querySelectorAll("button, input:not([type=hidden]), summary")) {
    const box = one.getBoundingClientRect();
    if (shown(one) && (box.width < 24 || box.height < 24)) say("too small to hit", one);
  }
  if (document.documentElement.scrollWidth > innerWidth + 1) faults.push("wider than the window");
  return faults;
}"""

_FOCUS = """() => {
  const one = document.activeElement;
  const style = getComputedStyle(one);
  return { tag: one.tagName, id: one.id, seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 };
}"""


def faults(page: Page) -> list[str]:
    found: list[str] = page.evaluate(_LOOK)
    return found


def hidden_focus(page: Page, steps: int = 40) -> list[str]:
    """What Tab reaches without showing it; and whether it comes round, so that nobody is caught."""
    missing: list[str] = []
    reached: list[dict[str, Any]] = []
    for _ in range(steps):
        page.keyboard.press("Tab")
        focus = page.evaluate(_FOCUS)
        if focus["tag"] == "BODY":
            return missing
        reached.append(focus)
        if not focus["seen"]:
            missing.append(f"{focus['tag']} {focus['id']}")
    return missing if len({str(one) for one in reached}) < steps else [*missing, "it does not come round"]
