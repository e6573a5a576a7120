"use strict";
// What is wider than its frame can be scrolled by keyboard, too.
const reachable = () => {
  for (const frame of document.querySelectorAll("pre, .table-wrapper")) {
    if (frame.scrollWidth > frame.clientWidth) frame.tabIndex = 0;
    else frame.removeAttribute("tabindex");
  }
};
addEventListener("load", reachable);
addEventListener("resize", reachable);
