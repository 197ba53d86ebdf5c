// Figures that a reader can turn. Their drawing library (4.8 MB) is loaded when the first of them comes near the window.
(() => {
  "use strict";

  const LIBRARY = new URL("plotly.min.js", document.currentScript.src).href;
  const NARROW = 600; // pixels: in a narrower column the surfaces stand below each other
  const CONFIG = { displaylogo: false, responsive: true, scrollZoom: false, showSendToCloud: false, plotlyServerURL: "" };
  let library = null;

  function load() {
    library ??= new Promise((done, failed) => {
      const script = document.createElement("script");
      Object.assign(script, { src: LIBRARY, onload: done, onerror: failed });
      document.head.append(script);
    });
    return library;
  }

  function stacked(layout) {
    const changed = structuredClone(layout);
    const scenes = Object.keys(changed).filter((name) => /^scene\d*$/.test(name));
    const share = 1 / scenes.length;
    scenes.forEach((name, k) => {
      const top = 1 - k * share;
      changed[name].domain = { x: [0, 1], y: [top - share, top - 0.06] };
      if (changed.annotations?.[k]) Object.assign(changed.annotations[k], { x: 0.5, y: top - 0.06, yanchor: "bottom" });
    });
    changed.height = layout.height * 0.8 * scenes.length;
    return changed;
  }

  async function draw(place) {
    const plot = place.querySelector(".turnable-plot");
    const figure = JSON.parse(place.querySelector("script").textContent);
    try {
      await load();
    } catch {
      plot.textContent = "The drawing library of this figure could not be loaded.";
      return;
    }
    let narrow = null;
    const fit = () => {
      if (narrow === place.clientWidth < NARROW) return;
      narrow = place.clientWidth < NARROW;
      if (!place.classList.contains("drawn")) plot.textContent = "";
      const layout = narrow ? stacked(figure.layout) : structuredClone(figure.layout);
      Plotly.react(plot, figure.data, layout, narrow ? { ...CONFIG, displayModeBar: false } : CONFIG);
      place.classList.add("drawn");
    };
    new ResizeObserver(fit).observe(place);

    // The library keeps the wheel for itself even where it does nothing with it.
    plot.addEventListener("wheel", (event) => event.stopPropagation(), { capture: true, passive: true });

    // A finger scrolls the page until it is told to turn the figure.
    const button = place.querySelector("button");
    const turn = (on) => {
      place.classList.toggle("turning", on);
      button.textContent = on ? "Done" : "Turn with a finger";
    };
    button.addEventListener("click", () => turn(!place.classList.contains("turning")));
  }

  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((one) => one.isIntersecting)) {
        near.unobserve(entry.target);
        draw(entry.target);
      }
    },
    { rootMargin: "400px 0px" },
  );
  // Before everything of the page has its size, a figure far down may seem near.
  const watch = () => document.querySelectorAll(".turnable").forEach((place) => near.observe(place));
  if (document.readyState === "complete") watch();
  else window.addEventListener("load", watch, { once: true });
})();
