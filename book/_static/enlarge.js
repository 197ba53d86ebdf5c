// A click or Enter on a picture of the text shows it large; Esc, the button or a click beside it closes it again.
// Without this script the same link leads to the picture itself.
(() => {
  "use strict";

  const POINTS = 150 / 96; // a drawing without pixels may be as large as a picture of 150 dots an inch

  let origin = null;
  let dialog = null;

  function made() {
    dialog = document.createElement("dialog");
    dialog.className = "enlarged";
    dialog.setAttribute("aria-label", "Enlarged figure");
    dialog.innerHTML = '<button type="button" autofocus>Close</button><div class="enlarged-pane"><img></div>';
    dialog.addEventListener("click", (event) => {
      if (event.target.tagName !== "IMG") dialog.close();
    });
    dialog.addEventListener("close", () => origin.focus());
    document.body.append(dialog);
    return dialog;
  }

  function enlarge(event, link, image) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab or window, as of any link
    event.preventDefault();
    origin = link;
    const large = (dialog ?? made()).querySelector("img");
    const scale = image.currentSrc.endsWith(".svg") ? POINTS : 1;
    large.src = image.currentSrc;
    large.alt = image.alt;
    large.style.setProperty("--full", `${Math.round(image.naturalWidth * scale)}px`);
    dialog.showModal();
    large.parentElement.scrollTo(0, 0);
  }

  for (const image of document.querySelectorAll("article figure img")) {
    let link = image.closest("a");
    if (!link) {
      link = document.createElement("a");
      link.href = image.src;
      image.replaceWith(link);
      link.append(image);
    }
    if (link.href !== image.src) continue; // it leads to a page
    link.classList.add("enlargeable");
    link.title = "Enlarge";
    link.setAttribute("aria-haspopup", "dialog");
    link.addEventListener("click", (event) => enlarge(event, link, image));
  }
})();
