// Everything that a reader does: pointer, touch, keys, legend, search, sorting, printing.

const stage = document.querySelector(".stage");
const tip = document.querySelector(".tip");
const card = document.querySelector(".chosen");
const legend = [...document.querySelectorAll(".legend button")];
const search = document.querySelector(".search input");
const found = document.querySelector(".found");

function element(tag, text, name = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

function chipOf(place) {
  const segment = data.segments[place];
  const chip = element("span", segment.id, "chip");
  chip.style.setProperty("--c", `var(--s${segment.slot})`);
  chip.style.setProperty("--t", `var(--t${segment.slot})`);
  return chip;
}

function titleOf(place) {
  const title = element("b", "");
  if (place < 0) title.textContent = "No segment";
  else title.append(chipOf(place), element("span", data.segments[place].name));
  return title;
}

function showTip(i, x, y) {
  tip.hidden = i < 0;
  if (i < 0) return;
  const place = data.segment[i];
  const who = data.user.length ? `User ${data.user[i]}, strength` : "Strength";
  const lines = [`${who} ${data.strength[i]} %`, ...(place < 0 ? [] : data.segments[place].facts)];
  tip.replaceChildren(titleOf(place), ...lines.map((line) => element("p", line)));
  const [w, h] = [tip.offsetWidth, tip.offsetHeight];
  const left = x + 16 + w < size.w ? x + 16 : x - 16 - w;
  tip.style.left = `${Math.max(6, Math.min(left, size.w - w - 6))}px`;
  tip.style.top = `${Math.max(6, Math.min(y - h / 2, size.h - h - 6))}px`;
}

function showCard() {
  const [place] = chosen.places;
  card.hidden = chosen.places.size !== 1;
  legend.forEach((button, i) => button.setAttribute("aria-pressed", chosen.places.has(i)));
  if (card.hidden) return;
  const segment = data.segments[place];
  const link = element("a", "See it in the table");
  link.href = `#segment-${segment.id}`;
  const end = element("p", "");
  end.append(link);
  const lines = [segment.size, ...segment.facts].map((line) => element("p", line));
  card.replaceChildren(titleOf(place), ...lines, end);
}

function choose(place) {
  const again = chosen.places.size === 1 && chosen.places.has(place);
  clear();
  if (!again && place >= 0) chosen.places.add(place);
  showCard();
  redraw();
}

function clear() {
  chosen.places.clear();
  chosen.users.clear();
  chosen.user = -1;
  chosen.hover = null;
  search.value = "";
  found.textContent = "";
  legend.forEach((button) => button.parentElement.classList.remove("away"));
  tip.hidden = true;
  showCard();
}

function lookFor(words) {
  const wanted = words.trim().toLowerCase();
  if (!wanted) { clear(); redraw(); return; }
  const holds = (s) => [s.name, String(s.id), ...s.facts].some((text) => text.toLowerCase().includes(wanted));
  chosen.places = new Set(data.segments.flatMap((s, place) => (holds(s) ? [place] : [])));
  const exact = data.user.findIndex((user) => user.toLowerCase() === wanted);
  const starts = data.user.flatMap((user, i) => (user.toLowerCase().startsWith(wanted) ? [i] : []));
  chosen.users = new Set(exact >= 0 ? [exact] : starts.slice(0, 200));
  const counted = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
  const users = exact >= 0 ? "1 user" : counted(starts.length, "user");
  found.textContent = `${counted(chosen.places.size, "segment")}${data.user.length ? `, ${users}` : ""} found`;
  if (chosen.users.size < 4) chosen.users.forEach((i) => data.segment[i] >= 0 && chosen.places.add(data.segment[i]));
  legend.forEach((button, place) => {
    button.parentElement.classList.toggle("away", !chosen.places.has(place));
  });
  chosen.user = chosen.users.size === 1 ? [...chosen.users][0] : -1;
  showCard();
  if (chosen.user >= 0) showTip(chosen.user, across(data.x[chosen.user]), down(data.y[chosen.user]));
  else tip.hidden = true;
  redraw();
}

function followPointer() {
  const touches = new Map();
  let dragged = false;
  const spot = (event) => {
    const frame = canvas.getBoundingClientRect();
    return { x: event.clientX - frame.left, y: event.clientY - frame.top };
  };
  canvas.addEventListener("pointerdown", (event) => {
    touches.set(event.pointerId, spot(event));
    canvas.setPointerCapture(event.pointerId);
    dragged = false;
  });
  canvas.addEventListener("pointermove", (event) => {
    const to = spot(event);
    const from = touches.get(event.pointerId);
    if (!from) { hoverAt(to); return; }
    const others = [...touches].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    if (others.length) {
      const far = (at) => Math.hypot(at.x - others[0].x, at.y - others[0].y);
      zoomAt((to.x + others[0].x) / 2, (to.y + others[0].y) / 2, far(to) / Math.max(far(from), 1));
    } else if (dragged || Math.hypot(to.x - from.x, to.y - from.y) > 4) {
      moveTo(view.zoom, view.x + to.x - from.x, view.y + to.y - from.y);
    } else return;
    dragged = true;
    tip.hidden = true;
    touches.set(event.pointerId, to);
  });
  const lift = (event) => {
    const at = touches.get(event.pointerId);
    touches.delete(event.pointerId);
    if (!at || dragged || event.type !== "pointerup") return;
    const near = nearestUser(at.x, at.y, event.pointerType === "touch" ? 22 : 14);
    choose(near < 0 ? -1 : data.segment[near]);
    hoverAt(at);
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => { chosen.user = -1; tip.hidden = true; redraw(); });
  canvas.addEventListener("dblclick", (event) => zoomAt(spot(event).x, spot(event).y, 2));
  canvas.addEventListener("wheel", (event) => {
    if (view.zoom === 1 && event.deltaY > 0) return; // nothing to zoom out of: the page scrolls on
    event.preventDefault();
    zoomAt(spot(event).x, spot(event).y, Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0018)));
  }, { passive: false });
  function hoverAt(at) {
    const near = nearestUser(at.x, at.y, 14);
    if (near === chosen.user && near < 0) return;
    chosen.user = near;
    showTip(near, at.x, at.y);
    redraw();
  }
}

function followKeys() {
  const step = 60;
  const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
  canvas.addEventListener("keydown", (event) => {
    const middle = [size.w / 2, size.h / 2];
    if (moves[event.key]) moveTo(view.zoom, view.x + moves[event.key][0], view.y + moves[event.key][1]);
    else if (event.key === "+" || event.key === "=") zoomAt(...middle, 1.5);
    else if (event.key === "-") zoomAt(...middle, 1 / 1.5);
    else if (event.key === "0") moveTo(1, 0, 0);
    else return;
    event.preventDefault();
  });
  document.querySelector(".explorer").addEventListener("keydown", (event) => {
    if (event.key === "Escape") { clear(); redraw(); }
  });
  document.querySelector(".zoom").addEventListener("click", (event) => {
    const way = event.target.dataset.zoom;
    if (way === "reset") moveTo(1, 0, 0);
    else if (way) zoomAt(size.w / 2, size.h / 2, way === "in" ? 1.6 : 1 / 1.6);
  });
}

function followLegend() {
  legend.forEach((button, place) => {
    const hover = (on) => () => { chosen.hover = on ? place : null; redraw(); };
    button.addEventListener("click", () => { choose(place); });
    button.addEventListener("pointerenter", hover(true));
    button.addEventListener("pointerleave", hover(false));
    button.addEventListener("focus", hover(true));
    button.addEventListener("blur", hover(false));
  });
  search.addEventListener("input", () => lookFor(search.value));
}

function followSorting() {
  const table = document.querySelector("table.segments");
  table.querySelectorAll("thead button").forEach((button) => button.addEventListener("click", () => {
    const head = button.closest("th");
    const key = button.dataset.sort;
    const before = head.getAttribute("aria-sort");
    const rising = before ? before === "descending" : key === "id";
    table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => (rising ? 1 : -1) * (a.dataset[key] - b.dataset[key]));
    table.tBodies[0].append(...rows);
  }));
}

window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
followSorting();
if (pen) {
  const restart = () => { readColours(); fitCanvas(); moveTo(view.zoom, view.x, view.y); };
  followPointer();
  followKeys();
  followLegend();
  new ResizeObserver(restart).observe(stage);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restart);
  window.addEventListener("beforeprint", () => { restart(); drawNow(); });
  restart();
}
