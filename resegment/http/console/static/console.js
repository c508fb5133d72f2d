// What pages do beyond HTML: "/" goes to the search, and feeds get new rows. Everything can be read without scripts.
"use strict";

document.addEventListener("keydown", (event) => {
  const at = event.target;
  const typing = at instanceof HTMLInputElement || at instanceof HTMLTextAreaElement || at instanceof HTMLSelectElement;
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.getElementById("search").focus();
  }
});

// A feed continues at the last id that it has: by the browser itself, and by the address where that gives up.
function follow(list) {
  const status = document.getElementById("feed-status");
  const most = Number(list.dataset.most);
  let place = list.dataset.place;
  let received = 0;
  let source = null;

  function say(text, on) {
    status.textContent = text;
    status.classList.toggle("on", on);
  }

  function open() {
    const address = new URL(list.dataset.feed, window.location.href);
    address.searchParams.set("after", place);
    source = new EventSource(address);
    source.addEventListener("open", () => say("Live", true));
    source.addEventListener("state", (event) => {
      const problem = JSON.parse(event.data).problem;
      if (problem) say("Not live: " + problem, false); else say("Live", true);
    });
    source.addEventListener("begin", () => {
      list.replaceChildren();
      say("Live; the topic of changes is a new one, so earlier rows are gone", true);
    });
    source.addEventListener("changes", (event) => {
      place = event.lastEventId;
      const box = document.createElement("template");
      box.innerHTML = event.data;
      const rows = box.content.querySelectorAll("li");
      received += rows.length;
      list.dataset.received = String(received);
      list.prepend(box.content);
      while (list.children.length > most) list.lastElementChild.remove();
      document.querySelector("[data-empty]")?.remove();
    });
    source.addEventListener("error", () => {
      say("Not live: the connection is lost, and is tried again.", false);
      if (source.readyState === EventSource.CLOSED) window.setTimeout(open, 2000);
    });
  }
  open();
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) open(); });
}

document.querySelectorAll("[data-feed]").forEach(follow);
