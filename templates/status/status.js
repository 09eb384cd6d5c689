// Keeps the page true while it is open: asks for it again, and takes over the parts that change.
// A part that somebody is busy with stays as it is. Without this script the page works, and is as old as it is.
(() => {
  "use strict";
  const PAUSE = 5000;
  const status = document.getElementById("updated");
  if (!status) return;
  let fetched = Date.now();
  let away = "";

  const say = () => {
    const age = Math.round((Date.now() - fetched) / 1000);
    status.textContent = ` · ${away ? `${away}; as of ${age} s ago` : `updated ${age} s ago`}`;
    status.classList.toggle("bad", away !== "");
  };

  const isBusy = (part) => {
    const active = document.activeElement;
    const chosen = document.getSelection();
    return (
      (part.contains(active) && active !== part && active.matches("input, select, textarea, pre")) ||
      (chosen && !chosen.isCollapsed && part.contains(chosen.anchorNode))
    );
  };

  // What has the focus is found again by its place: what it does, or where it leads.
  const nameOf = (element) => {
    if (element.form) return `form[action="${CSS.escape(element.form.getAttribute("action"))}"] button`;
    if (element.matches("summary")) return `[data-key="${CSS.escape(element.parentElement.dataset.key)}"] > summary`;
    return element.matches("a") ? `a[href="${CSS.escape(element.getAttribute("href"))}"]` : "";
  };

  const take = (text) => {
    const next = new DOMParser().parseFromString(text, "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = next.getElementById(part.id);
      if (!other || part.innerHTML === other.innerHTML || isBusy(part)) continue;
      const open = new Set([...part.querySelectorAll("details[open]")].map((details) => details.dataset.key));
      const focused = part.contains(document.activeElement) ? nameOf(document.activeElement) : "";
      part.replaceChildren(...other.childNodes);
      for (const details of part.querySelectorAll("details")) details.open = open.has(details.dataset.key);
      if (focused) part.querySelector(focused)?.focus({ preventScroll: true });
    }
    document.title = next.title;
    const tone = next.querySelector("header.top");
    if (tone) document.querySelector("header.top").className = tone.className;
  };

  const look = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(location.href, { redirect: "manual", signal: AbortSignal.timeout(10000) });
        if (answer.type === "opaqueredirect") throw new Error("you are not signed in any more");
        if (!answer.ok) throw new Error(`the daemon answers ${answer.status}`);
        take(await answer.text());
        [away, fetched] = ["", Date.now()];
      } catch (error) {
        const isSilent = error instanceof TypeError || error.name === "TimeoutError";
        away = isSilent ? "the daemon does not answer" : error.message;
      }
    }
    setTimeout(look, PAUSE);
  };

  setInterval(say, 1000);
  say();
  setTimeout(look, PAUSE);
})();
