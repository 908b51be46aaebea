// The playground: one state, asked of the service, drawn as columns of cards. Text only ever becomes text nodes.

const PAGE = 12;
const byId = (id) => document.getElementById(id);

const picked = new Map(); // product id -> title
const filters = new Map(); // "field value" -> [field, value]
let bundles = {};
let latest = 0; // number of the last question; late answers to earlier ones are dropped
let again = () => {}; // asks the last question anew, with the options as they are now

async function call(path, body) {
  let response;
  try {
    response = await fetch(path, body && {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    });
  } catch {
    throw new Error("The retrieval service cannot be reached. Is it running?");
  }
  const answer = parse(await response.text()) ?? { error: `The service answered with status ${response.status}.` };
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function ask(path, title, body) {
  again = () => send({ path, title, body: { ...body(), k: PAGE, filters: ranges(), explain: byId("explain").checked } });
  again();
}

// Ids that are numbers become text: they may have more digits than a number of JavaScript.
function parse(text) {
  try {
    return JSON.parse(text.replace(/"product_id":(-?\d+)/g, '"product_id":"$1"'));
  } catch {
    return null;
  }
}

// Each bundle that is shown answers the question in a column of its own.
async function send(question) {
  const number = ++latest;
  const names = byId("compare").checked ? ["current", "compare"] : ["current"];
  byId("error").hidden = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    const answers = await Promise.all(names.map((bundle) => answer(question, bundle)));
    if (number === latest) draw(question, names, answers);
  } catch (error) {
    if (number === latest) fail(error);
  } finally {
    if (number === latest) document.body.removeAttribute("aria-busy");
  }
}

async function answer(question, bundle, cursor) {
  const started = performance.now();
  const body = { ...question.body, bundle };
  if (cursor) body.cursor = cursor;
  const got = await call(question.path, body);
  return { ...got, roundTrip: performance.now() - started };
}

// A value of a number is a range: "10-20", "10-" or "-20".
function ranges() {
  const chosen = {};
  for (const [field, value] of filters.values()) (chosen[field] ??= []).push(value);
  const known = bundles.current?.filters ?? {};
  return Object.fromEntries(Object.entries(chosen).map(([field, values]) => {
    if (known[field] !== null) return [field, values];
    const [low, high] = values.at(-1).split("-").map((part) => part.trim());
    const range = {};
    if (low) range.min = Number(low);
    if (high ?? low) range.max = Number(high ?? low);
    return [field, range];
  }));
}

function fail(error) {
  byId("columns").replaceChildren();
  byId("welcome").hidden = true;
  byId("error").textContent = error.message;
  byId("error").hidden = false;
}

function draw(question, names, answers) {
  byId("welcome").hidden = true;
  const order = new Map(answers[0].hits.map((hit, place) => [hit.product_id, place]));
  byId("columns").replaceChildren(...answers.map((got, number) => {
    const column = byId("column").content.firstElementChild.cloneNode(true);
    column.querySelector("h2").textContent = names.length > 1 ? `${got.bundle} (${names[number]})` : question.title;
    column.querySelector(".facts").textContent = facts(got);
    column.querySelector("ol").append(...got.hits.map((hit, place) => card(hit, number && move(order, hit, place))));
    const more = column.querySelector(".more");
    follow(more, column, question, names[number], got.cursor);
    return column;
  }));
  scrollTo(0, 0);
}

function facts(got) {
  if (!got.hits.length) return "No product passes.";
  const ms = (value) => `${value.toFixed(1)} ms`;
  const said = [`${got.hits.length} products in ${ms(got.roundTrip)} (service ${ms(got.milliseconds.total)})`];
  if (got.cache) said.push(`embedding ${ms(got.milliseconds.embed)}, cache ${got.cache}`);
  said.push(got.way);
  got.clusters.forEach((cluster, n) => {
    said.push(`cluster ${n + 1}: ${cluster.members.length} picked, importance ${cluster.importance.toFixed(2)}`);
  });
  return said.join(" · ");
}

function follow(more, column, question, bundle, cursor) {
  more.hidden = !cursor;
  more.onclick = async () => {
    more.disabled = true;
    try {
      const got = await answer(question, bundle, cursor);
      const cards = got.hits.map((hit) => card(hit));
      column.querySelector("ol").append(...cards);
      follow(more, column, question, bundle, got.cursor);
      cards[0]?.focus();
    } catch (error) {
      fail(error);
    }
    more.disabled = false;
  };
}

function move(order, hit, place) {
  const there = order.get(hit.product_id);
  if (there === undefined) return "new";
  return there === place ? "=" : there > place ? `↑${there - place}` : `↓${place - there}`;
}

function card(hit, moved) {
  const item = byId("card").content.firstElementChild.cloneNode(true);
  const find = (selector) => item.querySelector(selector);
  item.dataset.id = hit.product_id;
  find("h3").textContent = hit.title || "(no title)";
  find(".id").textContent = hit.product_id;
  find(".score span").textContent = hit.score.toFixed(4);
  find("meter").value = Math.max(0, hit.score);
  find("meter").hidden = "lexical" in hit.sources || hit.score < 0.05;
  find("meter").setAttribute("aria-label", "score");
  if (moved) find(".move").textContent = moved;
  find(".sources").textContent = Object.entries(hit.sources)
    .map(([name, place]) => `${name} #${place.rank} (${place.score.toFixed(3)})`)
    .concat(hit.added ? "added since the bundle" : []).join(" · ");
  if (hit.why.length) {
    find(".why").textContent = "near " + hit.why.map((w) => `“${w.query}” ${w.score.toFixed(2)}`).join(", ");
    find(".why").hidden = false;
  }
  if (hit.image) {
    find("img").src = hit.image;
    find("img").alt = hit.title;
    find("img").hidden = false;
    find("img").onerror = (event) => { event.target.hidden = true; };
  }
  find(".similar").onclick = () => similar(hit);
  find(".pick").onclick = () => pick(hit);
  find(".pick").setAttribute("aria-pressed", picked.has(hit.product_id));
  return item;
}

function similar(hit) {
  ask("/similar", `Similar to ${hit.title || hit.product_id}`, () => ({ product_id: hit.product_id }));
}

function pick(hit) {
  if (!picked.delete(hit.product_id)) picked.set(hit.product_id, hit.title || hit.product_id);
  drawPicked();
}

function drawPicked() {
  byId("tray").hidden = !picked.size;
  byId("picked").replaceChildren(...[...picked].map(([id, title]) => chip(title, () => {
    picked.delete(id);
    drawPicked();
  })));
  for (const item of document.querySelectorAll("li[data-id]")) {
    item.querySelector(".pick").setAttribute("aria-pressed", picked.has(item.dataset.id));
  }
}

function drawFilters() {
  byId("filters").replaceChildren(...[...filters].map(([key, [field, value]]) => chip(`${field}: ${value}`, () => {
    filters.delete(key);
    drawFilters();
    again();
  })));
}

function chip(text, remove) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.textContent = `${text} ×`;
  button.setAttribute("aria-label", `Remove ${text}`);
  button.onclick = remove;
  item.append(button);
  return item;
}

function search() {
  const query = byId("query").value.trim();
  if (!query) {
    byId("query").focus();
    return;
  }
  history.replaceState(null, "", `#${encodeURIComponent(query)}`);
  ask("/search", `“${query}”`, () => ({ query, hybrid: byId("hybrid").checked }));
}

function recommend() {
  if (!picked.size) return;
  const timestamp = Date.now() / 1000;
  const activity = [...picked.keys()].map((product_id) => ({ product_id, timestamp }));
  ask("/home", `Home of somebody who liked ${[...picked.values()].join(", ")}`, () => ({ activity }));
}

function drawBundles() {
  const { current, compare } = bundles;
  byId("hybrid-option").hidden = !current.hybrid;
  byId("compare-option").hidden = !compare;
  byId("compare-option").querySelector("span").textContent = compare ? compare.name : "";
  const fields = Object.keys(current.filters);
  byId("filter").hidden = !fields.length;
  byId("field").replaceChildren(...fields.map((name) => new Option(name)));
  drawValues();
}

function drawValues() {
  const values = bundles.current.filters[byId("field").value];
  byId("values").replaceChildren(...(values ?? []).map((value) => new Option(value)));
  byId("value").placeholder = values === null ? "10-20" : "value";
}

byId("search").onsubmit = (event) => { event.preventDefault(); search(); };
byId("filter").onsubmit = (event) => {
  event.preventDefault();
  const field = byId("field").value;
  const value = byId("value").value.trim();
  if (!value) return;
  if (bundles.current.filters[field] === null && !/^(\d+(\.\d+)?)?(-(\d+(\.\d+)?)?)?$/.test(value)) {
    fail(new Error(`${field}: give a number or a range, such as 10-20`));
    return;
  }
  filters.set(`${field} ${value}`, [field, value]);
  byId("value").value = "";
  drawFilters();
  again();
};
byId("field").onchange = drawValues;
for (const id of ["explain", "hybrid", "compare"]) byId(id).onchange = () => again();
byId("recommend").onclick = recommend;
byId("clear").onclick = () => { picked.clear(); drawPicked(); };

document.onkeydown = (event) => {
  const typing = event.target.matches("input:not([type=checkbox]), select");
  if (event.key === "Escape") document.activeElement.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const items = [...document.querySelectorAll("li[data-id]")];
  const here = document.activeElement.closest("li[data-id]");
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (event.key === "/") byId("query").select();
  else if (event.key === "h") recommend();
  else if (step) items[Math.min(Math.max(items.indexOf(here) + step, 0), items.length - 1)]?.focus();
  else if (event.key === "s" && here) here.querySelector(".similar").click();
  else if (event.key === "p" && here) here.querySelector(".pick").click();
  else return;
  event.preventDefault();
};

try {
  bundles = await call("/bundles");
  drawBundles();
} catch (error) {
  fail(error);
}
if (location.hash.length > 1) {
  try {
    byId("query").value = decodeURIComponent(location.hash.slice(1));
    search();
  } catch { /* not of ours */ }
}
