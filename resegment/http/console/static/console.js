// What pages do beyond HTML: "/" goes to the search. Everything can be read without scripts.
"use strict";

document.addEventListener("keydown", (event) => {
  const at = event.target;
  const typing = at instanceof HTMLInputElement || at instanceof HTMLTextAreaElement || at instanceof HTMLSelectElement;
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.getElementById("search").focus();
  }
});
