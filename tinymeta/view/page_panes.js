// What the page shows of a step: one function per pane. `page.js` calls them, and holds the state.

const trace = JSON.parse(document.getElementById("trace").textContent);
const at = id => document.getElementById(id);
const step = id => trace.steps[id - 1];
const hidden = new Set(trace.hidden);
const operations = trace.steps.filter(s => s.kind === "step" && !hidden.has(s.op));

// The links that the trace holds in one direction only: who uses a step, what its VJP made, whose cotangent it is.
const uses = new Map(), made = new Map(), cotangentOf = new Map();
for (const s of trace.steps) {
  for (const i of new Set(s.inputs)) listed(uses, i).push(s.id);
  if (s.made_by && s.kind === "step") listed(made, s.made_by).push(s.id);
  for (const [, , total] of s.cotangents) cotangentOf.set(total, s.id);
}
function listed(map, key) {
  if (!map.has(key)) map.set(key, []);
  return map.get(key);
}

// Text. All that comes from the user's program passes through `escaped`.

function escaped(text) {
  const entities = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return String(text).replace(/[&<>"]/g, c => entities[c]);
}
function number(v) {
  if (typeof v !== "number") return escaped(v);
  const size = Math.abs(v), plain = v === 0 || (size >= 1e-3 && size < 1e5);
  return (plain ? String(+v.toPrecision(4)) : v.toExponential(2)).replaceAll("-", "−");
}
function type(s) {
  return s.batch.map(n => n + " × ").join("") + s.dtype + "[" + s.shape.join(", ") + "]";
}
function isNumber(s) {
  return s.kind === "input" && !s.shape.length && !s.batch.length;
}
function go(id, text = `%${id} ${step(id).op}`) {
  return `<button class="go" data-go="${id}">${escaped(text)}</button>`;
}
function coloured(code) {
  const token = new RegExp([
    /(?<comment>#.*)/,
    /(?<text>"""[^]*?"""|'''[^]*?'''|"[^"\n]*"|'[^'\n]*')/,
    /\b(?<word>def|class|return|lambda|for|in|if|else|elif|with|as|import|from|None|True|False|not|and|or|while|yield)\b/,
  ].map(part => part.source).join("|"), "g");
  let out = "", from = 0;
  for (const found of code.matchAll(token)) {
    const kind = Object.keys(found.groups).find(name => found.groups[name]);
    out += escaped(code.slice(from, found.index)) + `<span class="${kind}">${escaped(found[0])}</span>`;
    from = found.index + found[0].length;
  }
  return out + escaped(code.slice(from));
}

// The step: what it computes, and all that is known about where it comes from.

function showStep(s) {
  const inputs = s.inputs.map(i => (isNumber(step(i)) ? number(step(i).value.first[0]) : go(i, "%" + i)));
  const options = Object.entries(s.static).map(([name, value]) => escaped(`${name}=${value}`));
  const call = s.kind === "input" ? "" : `(${[...inputs, ...options].join(", ")})`;
  at("name").innerHTML = `%${s.id} = ${escaped(s.op)}${call}`;
  at("facts").innerHTML = facts(s).map(([name, fact]) => `<div><dt>${name}</dt><dd>${fact}</dd></div>`).join("");
}
function facts(s) {
  const sweep = s.visit && trace.sweeps[s.visit[0]], children = made.get(s.id) || [];
  const found = [["order", s.order + (s.order ? "" : " (your program)")], ["type", escaped(type(s))]];
  if (s.kind === "earlier") found.push(["made", "before the trace began"]);
  if (s.kind === "input") found.push(["made", "outside: a value of yours"]);
  if (s.made_by) found.push(["made by the VJP of", go(s.made_by)]);
  if (sweep) found.push(["in sweep", `${sweep.name}, ${s.visit[1]} of ${sweep.nodes}`]);
  if (s.column !== s.id && s.column !== s.made_by) found.push(["differentiates", go(s.column)]);
  if (cotangentOf.has(s.id)) found.push(["it is the cotangent of", go(cotangentOf.get(s.id))]);
  const more = children.length > 1 ? ` and ${children.length - 1} more` : "";
  if (children.length) found.push(["its VJP made", go(children[0]) + more]);
  if (s.batch.length) found.push(["inside vmap", s.batch.join(" × ") + " examples at once"]);
  return found;
}

// The source: the user's line, the lines that called it, and for a step of higher order what it differentiates.

let file = null;
function showSource(s) {
  const column = step(s.column), path = trace.sites[s.site ?? column.site] || [], here = path.at(-1);
  const subject = s.order && column.site !== null ? trace.sites[column.site].at(-1) : null;
  showFile(here ? here.file : null);
  for (const line of at("lines").querySelectorAll("li[class]")) {
    line.className = "";
    delete line.dataset.mark;
  }
  for (const site of path) mark(site, "caller");
  if (subject) mark(subject, "subject", "← differentiated");
  if (here) mark(here, "here");
  reveal([here, subject].map(lineOf).filter(Boolean));
}
function showFile(name) {
  if (name === file) return;
  file = name;
  at("file").textContent = name ?? "No line: made before the trace began";
  at("lines").innerHTML = (trace.sources[name] || [])
    .map((text, k) => `<li data-line="${k + 1}"><code>${coloured(text)}</code></li>`).join("");
}
function lineOf(site) {
  return site && site.file === file ? at("lines").children[site.line - 1] : null;
}
function mark(site, kind, words = "") {
  const line = lineOf(site);
  if (line) [line.className, line.dataset.mark] = [kind, words];
}
function reveal(lines) { // all of them if the pane has room, else the last: what is being differentiated
  if (!lines.length) return;
  const pane = at("lines"), places = lines.map(line => line.offsetTop - pane.offsetTop);
  const [low, high] = [Math.min(...places), Math.max(...places)];
  pane.scrollTop = (high - low < pane.clientHeight - 60 ? (low + high) / 2 : places.at(-1)) - pane.clientHeight / 2;
}

// The value: its range, then all of it as a coloured grid, or its histogram; then the cotangent that it collected.

function showValue(s) {
  const v = s.value, few = s.batch.length && v.grid ? ` &ensp; below: the first of ${s.batch.join(" × ")} examples` : "";
  const range = v.min === undefined ? [] : ["min", "mean", "max"].map(name => `${name} <b>${number(v[name])}</b>`);
  if (v.bad) range.push(`<b>${v.bad} not finite</b>`);
  const first = v.grid || !v.first ? "" : `<p class="stats">first entries ${v.first.map(number).join(", ")}, …</p>`;
  at("value").innerHTML = `<p class="stats">${range.join(" &ensp; ")}${few}</p>` +
    (v.grid ? grid(v.grid) : v.bins ? bars(v) : "") + first + cotangents(s);
  at("value").scrollTop = 0;
}
function grid(rows) {
  const most = Math.max(...rows.flat().map(Number).filter(isFinite).map(Math.abs), Number.MIN_VALUE);
  const cell = v => {
    const depth = isFinite(v) ? Math.abs(v) / most : 0, sign = v < 0 ? "minus" : "plus";
    return `<td style="background: rgb(var(--${sign}) / ${(0.05 + 0.5 * depth).toFixed(3)})">${number(v)}</td>`;
  };
  return `<table class="grid">${rows.map(row => `<tr>${row.map(cell).join("")}</tr>`).join("")}</table>`;
}
function bars(v) {
  const most = Math.max(...v.bins), width = 380 / v.bins.length, zero = (380 * -v.min) / (v.max - v.min);
  const bar = (n, k) => {
    const height = (60 * n) / most;
    return `<rect x="${k * width + 1}" width="${width - 2}" y="${66 - height}" height="${height}"/>`;
  };
  const tick = zero > 60 && zero < 320
    ? `<line x1="${zero}" x2="${zero}" y1="64" y2="70"/><text x="${zero}" y="81" text-anchor="middle">0</text>` : "";
  const words = `Histogram from ${number(v.min)} to ${number(v.max)}`;
  return `<svg class="bars" viewBox="0 0 380 84" role="img" aria-label="${words}">${v.bins.map(bar).join("")}
    <line x1="0" x2="380" y1="66.5" y2="66.5"/>${tick}
    <text x="0" y="81">${number(v.min)}</text><text x="380" y="81" text-anchor="end">${number(v.max)}</text></svg>`;
}
function cotangents(s) {
  const before = new Map();
  const row = ([sweep, came, total]) => {
    const old = before.has(sweep) ? go(before.get(sweep)) : "nothing";
    before.set(sweep, total);
    return `<tr><td>${trace.sweeps[sweep].name}</td><td>${old}</td><td>${go(came)}</td><td>${go(total)}</td></tr>`;
  };
  if (!s.cotangents.length) return "";
  return `<table class="sums"><caption>Its cotangent, as it was collected</caption>
    <tr><th>sweep</th><th>before</th><th>came</th><th>after</th></tr>${s.cotangents.map(row).join("")}</table>`;
}

// The rules: of the step's maker, and its own.

function showRules(s) {
  const maker = s.made_by && step(s.made_by).op;
  const heads = new Map(maker ? [[maker, "which made this step"]] : []);
  if (!heads.has(s.op)) heads.set(s.op, "this operation");
  const rule = ([op, words]) => {
    const { mathematics, vjp } = trace.rules[op], text = escaped(mathematics).replace(/`([^`]+)`/g, "<code>$1</code>");
    return `<h4>The rule of ${escaped(op)}, ${words}</h4><p class="math">${text}</p><pre>${coloured(vjp)}</pre>`;
  };
  const rules = [...heads].filter(([op]) => op in trace.rules).map(rule).join("");
  const plain = s.plain.length ? `<h4>It stands for</h4><pre>${escaped(s.plain.join("\n"))}</pre>` : "";
  at("rule").innerHTML = plain + rules || `<p class="stats">A value of yours has no rule.</p>`;
  at("rule").scrollTop = 0;
}
