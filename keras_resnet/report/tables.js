"use strict";

function sortBy(table, column, ascending) {
  const body = table.tBodies[0];
  const key = (row) => row.cells[column].dataset.value;
  // Where there is nothing to compare, the row stays at the end.
  const rows = [...body.rows].filter((row) => key(row) !== "");
  const without = [...body.rows].filter((row) => key(row) === "");
  const numeric = rows.every((row) => !isNaN(key(row)));
  const order = (a, b) =>
    numeric ? Number(key(a)) - Number(key(b)) : key(a).localeCompare(key(b), undefined, { numeric: true });
  rows.sort((a, b) => (ascending ? order(a, b) : order(b, a)));
  body.append(...rows, ...without);
  [...table.tHead.rows[0].cells].forEach((cell, index) => {
    if (index === column) cell.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    else cell.removeAttribute("aria-sort");
  });
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((cell, column) => {
    cell.querySelector("button").addEventListener("click", () => {
      // Figures are sorted from the largest first, names from A.
      const first = column === 0;
      const now = cell.getAttribute("aria-sort");
      const ascending = now ? now === "descending" : first;
      sortBy(table, column, ascending);
    });
  });
}
