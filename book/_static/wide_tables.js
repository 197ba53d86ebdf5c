// Tells the style sheet at which side of a table that scrolls in its box there is more to see.
(() => {
  "use strict";

  for (const box of document.querySelectorAll(".pst-scrollable-table-container")) {
    const tell = () => {
      box.classList.toggle("more-before", box.scrollLeft > 1);
      box.classList.toggle("more-after", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
    };
    box.addEventListener("scroll", tell, { passive: true });
    new ResizeObserver(tell).observe(box);
  }
})();
