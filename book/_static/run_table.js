// Tables of runs: a press on the head of a column sorts by it; a row that is led to names its own command.
"use strict";

function key(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = Number(text);
  return text !== "" && !Number.isNaN(number) ? number : text;
}

// Numbers by size, before words by the alphabet; what is empty or no number at all ("nan") comes last, whatever the order.
function compare(a, b, sign) {
  const missing = (value) => value === "" || value === "nan";
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return sign * a.localeCompare(b);
}

function sort(table, head) {
  const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  const column = head.cellIndex;
  const rows = [...table.tBodies[0].rows].map((row) => [key(row, column), row]);
  rows.sort((one, other) => compare(one[0], other[0], order === "ascending" ? 1 : -1));
  table.tBodies[0].append(...rows.map((entry) => entry[1]));
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", order);
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const head of table.tHead.rows[0].cells) {
    head.querySelector("button").addEventListener("click", () => sort(table, head));
  }
}

// The command for one run takes the run of the row in the address.
function nameRun() {
  const code = document.querySelector(".one-run pre");
  const run = /^#c(.+)-n(\d+)-s(\d+)$/.exec(decodeURIComponent(location.hash));
  if (!code || !run) return;
  const chosen = `--coefficient ${run[1]} --n-data ${run[2]} --seed ${run[3]}`;
  code.textContent = code.textContent.replace(/--coefficient \S+ --n-data \d+ --seed \d+/, chosen);
}
addEventListener("hashchange", nameRun);
nameRun();
