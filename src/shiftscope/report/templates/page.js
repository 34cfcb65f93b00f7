"use strict";
// Sort the rows of each dataset by the column whose heading is pressed; rows without a number stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.querySelectorAll("th[aria-sort]")];
  // the variant's heading comes first; the others stand in the order of the numbers
  const cellOf = (row, place) => place === 0 ? row.querySelector("th") : row.querySelectorAll("td:not(.strip)")[place - 1];
  heads.forEach((head, place) => head.querySelector("button").addEventListener("click", () => {
    const words = place === 0;
    const order = head.getAttribute("aria-sort");
    // numbers start with the highest, words with A
    const next = order === "none" ? (words ? "ascending" : "descending") : order === "ascending" ? "descending" : "ascending";
    heads.forEach((other) => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", next);
    const sign = next === "ascending" ? 1 : -1;
    const compare = (a, b) => {
      const [x, y] = [a, b].map((row) => cellOf(row, place).dataset.sort);
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
      return sign * (words ? x.localeCompare(y) : Number(x) - Number(y));
    };
    for (const body of table.tBodies) body.append(...[...body.rows].filter((row) => !row.classList.contains("group")).sort(compare));
  }));
}
