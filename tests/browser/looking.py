"""What can be judged of a view without eyes: accessibility by axe, what overlaps, what is cut off, what is outside the window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

AXE = Path(__file__).parent.parent.parent / "web" / "node_modules" / "axe-core" / "axe.min.js"
both_themes = pytest.mark.parametrize("settings", [{"color_scheme": "light"}, {"color_scheme": "dark"}], ids=["light", "dark"])


def violations(page: Page) -> list[str]:
    """What axe calls serious or critical in the page as it is now, a line for each place. What fades in has first faded in."""
    page.wait_for_timeout(200)
    if not AXE.is_file():
        pytest.skip("axe-core is not here: python web/bundle.py fetches it")
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate("axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)")
    return [
        f"{one['id']}: {node['target'][-1]}: {' '.join(node['failureSummary'].split())[:240]}"
        for one in found if one["impact"] in ("serious", "critical") for node in one["nodes"]
    ]  # fmt: skip


def overlaps(page: Page, selector: str) -> list[str]:
    """Pairs of elements that cover a part of one another, more than a pixel of it, neither being inside the other."""
    return page.evaluate("""(selector) => {
      const all = [...document.querySelectorAll(selector)].map((one) => [one, one.getBoundingClientRect()])
        .filter(([one, box]) => box.width && box.height && one.checkVisibility({ visibilityProperty: true }))
      const name = (one) => one.getAttribute('aria-label') || one.dataset.id || one.textContent.trim().slice(0, 30) || one.className
      const found = []
      all.forEach(([one, a], i) => all.slice(i + 1).forEach(([other, b]) => {
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left), high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)
        if (wide > 1 && high > 1 && !one.contains(other) && !other.contains(one)) found.push(`${name(one)} / ${name(other)}`)
      }))
      return found
    }""", selector)  # fmt: skip


def cut_off(page: Page, within: str = "body") -> list[str]:
    """Texts that do not fit their box and do not say so by an ellipsis, a line clamp or a scroll bar."""
    return page.evaluate("""(within) => [...document.querySelectorAll(`${within} *`)].flatMap((one) => {
      const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())
      const style = getComputedStyle(one)
      if (!own || !one.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || one.matches('option, textarea, select, input')) return []
      const hides = (axis) => ['hidden', 'clip'].includes(axis)
      const tells = style.textOverflow === 'ellipsis' || style.webkitLineClamp !== 'none'
      const wide = one.scrollWidth > one.clientWidth + 1 && hides(style.overflowX), high = one.scrollHeight > one.clientHeight + 2 && hides(style.overflowY)
      const unseen = style.clipPath !== 'none' || style.clip !== 'auto' || one.clientWidth <= 1 // said to screen readers alone
      return (wide || high) && !tells && !unseen ? [`${one.tagName.toLowerCase()}.${one.className}: ${one.textContent.trim().slice(0, 40)}`] : []
    })""", within)  # fmt: skip


def outside(page: Page, selector: str) -> list[str]:
    """Elements of which a part is not in the window."""
    return page.evaluate("""(selector) => [...document.querySelectorAll(selector)].flatMap((one) => {
      const box = one.getBoundingClientRect()
      const out = box.left < -1 || box.top < -1 || box.right > innerWidth + 1 || box.bottom > innerHeight + 1
      const name = one.getAttribute('aria-label') || one.textContent.trim().slice(0, 30)
      return box.width && box.height && out ? [`${name} at ${Math.round(box.left)}–${Math.round(box.right)}`] : []
    })""", selector)  # fmt: skip


def scrolls_sideways(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")


def untold(page: Page) -> list[str]:
    """Texts that end in an ellipsis, of which nothing tells the rest: no title, no help, no name that says it whole."""
    return page.evaluate("""() => [...document.querySelectorAll('body *')].flatMap((one) => {
      const style = getComputedStyle(one), text = one.textContent.trim()
      const cut = style.textOverflow === 'ellipsis' && style.overflowX !== 'visible' && one.scrollWidth > one.clientWidth + 1
      if (!cut || one.matches('input, textarea') || !one.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return []
      const told = one.closest('[title], [data-help]') || [...one.querySelectorAll('[title]')].length
      return told ? [] : [`${one.tagName.toLowerCase()}.${one.className}: ${text.slice(0, 60)}`]
    })""")  # fmt: skip
