// The neighbourhood of a step, and its place in the derivative table.

// Dataflow runs from left to right in the first rows; what the step's VJP made hangs below, in layers.
const BOX = { width: 140, height: 30, dx: 178, dy: 40, pad: 8 };
const MOST = { sides: 8, made: 40 };

function showGraph(s) {
  const inputs = [...new Set(s.inputs)].filter(i => !isNumber(step(i))).slice(0, MOST.sides);
  const outputs = (uses.get(s.id) || []).filter(i => step(i).made_by !== s.id).slice(0, MOST.sides);
  const children = (made.get(s.id) || []).slice(0, MOST.made), rest = (made.get(s.id) || []).length - children.length;
  const rows = Math.max(inputs.length, outputs.length, 1), top = s.made_by ? 62 : 12;
  const middle = top + ((rows - 1) * BOX.dy) / 2;

  const place = new Map([[s.id, [BOX.dx, middle]]]);
  const put = (id, x, y) => place.has(id) || place.set(id, [x, y]);
  if (s.made_by && !inputs.includes(s.made_by)) put(s.made_by, BOX.dx, middle - 50);
  inputs.forEach((id, k) => put(id, 0, middle + (k - (inputs.length - 1) / 2) * BOX.dy));
  outputs.forEach((id, k) => put(id, 2 * BOX.dx, middle + (k - (outputs.length - 1) / 2) * BOX.dy));
  const layer = new Map(), filled = [];
  for (const id of children) { // a child stands one layer to the right of the children that it uses
    const depth = Math.max(0, ...step(id).inputs.filter(i => layer.has(i)).map(i => layer.get(i) + 1));
    layer.set(id, depth);
    put(id, depth * BOX.dx, top + (rows - 1) * BOX.dy + 66 + (filled[depth] || 0) * BOX.dy);
    filled[depth] = (filled[depth] || 0) + 1;
  }

  const flows = [...place].flatMap(([id, to]) => [...new Set(step(id).inputs)]
    .filter(i => place.has(i) && !(i === s.id && layer.has(id))).map(i => flow(place.get(i), to)));
  const makes = children.filter(id => !layer.get(id)).map(id => making(place.get(s.id), place.get(id)));
  if (s.made_by) makes.push(making(place.get(s.made_by), place.get(s.id)));
  const [xs, ys] = [0, 1].map(axis => [...place.values()].map(p => p[axis]));
  const width = Math.max(...xs) + BOX.width + 2 * BOX.pad, height = Math.max(...ys) + BOX.height + (rest > 0 ? 36 : 14);
  const more = rest > 0 ? `<text class="quiet" x="${BOX.pad}" y="${height - 8}">and ${rest} more below</text>` : "";
  at("graph").innerHTML = `<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
    ${[...flows, ...makes].join("")}${[...place].map(([id, p]) => box(id, p, id === s.id)).join("")}${more}</svg>`;
  at("graph").scrollTop = 0;
}
function box(id, [x, y], now) {
  const { op, order } = step(id), name = `%${id} ${op}`;
  return `<g role="link" tabindex="0" data-go="${id}" class="${now ? "now" : ""}"
    transform="translate(${x + BOX.pad} ${y})" aria-label="${escaped(name)}, order ${order}">
    <rect class="box" width="${BOX.width}" height="${BOX.height}" rx="4"/>
    <rect class="o${Math.min(order, 3)}" x="5" y="6" width="9" height="18"/>
    <text x="21" y="19">${escaped(name.length > 19 ? name.slice(0, 18) + "…" : name)}</text></g>`;
}
function flow([x, y], [u, v]) {
  const from = x + BOX.pad + BOX.width, to = u + BOX.pad, half = (from + to) / 2;
  const [p, q] = [y + BOX.height / 2, v + BOX.height / 2];
  return from <= to ? `<path d="M${from} ${p}C${half} ${p} ${half} ${q} ${to} ${q}"/>` : "";
}
function making([x, y], [u, v]) {
  const [from, to] = [x, u].map(side => side + BOX.pad + BOX.width / 2), foot = y + BOX.height;
  return v > y ? `<path class="by" d="M${from} ${foot}C${from} ${v - 12} ${to} ${foot + 12} ${to} ${v}"/>` : "";
}

const pane = document.querySelector("#table .scroll");
const cells = new Map([...pane.querySelectorAll("rect[data-id]")].map(rect => [+rect.dataset.id, rect]));
const heads = new Map([...pane.querySelectorAll("text[data-column]")].map(text => [+text.dataset.column, text]));

function showTable(s) {
  for (const marked of pane.querySelectorAll(".now, .maker, .made")) marked.classList.remove("now", "maker", "made");
  for (const id of made.get(s.id) || []) cells.get(id)?.classList.add("made");
  cells.get(s.made_by)?.classList.add("maker");
  heads.get(s.column)?.classList.add("now");
  const cell = cells.get(s.id);
  if (!cell) return;
  cell.classList.add("now");
  const box = cell.getBoundingClientRect(), view = pane.getBoundingClientRect(), words = 190; // wide, at the left
  if (box.left < view.left + words || box.right > view.right - 20) pane.scrollLeft += box.left - view.left - view.width / 2;
  if (box.top < view.top + 10 || box.bottom > view.bottom - 10) pane.scrollTop += box.top - view.top - view.height / 2;
}
pane.addEventListener("scroll", () => { // the words at the left of the bands stay in view
  pane.querySelector(".words").setAttribute("transform", `translate(${pane.scrollLeft})`);
});
