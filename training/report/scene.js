// The map itself: data, view, colours and dots. Labels and handling stand in their own files.

const data = JSON.parse(document.getElementById("payload").textContent);
const canvas = document.querySelector(".stage canvas");
const pen = canvas ? canvas.getContext("2d") : null;
const EDGE = 28; // px around the outermost dots
const MAX_ZOOM = 40;
const view = { zoom: 1, x: 0, y: 0 }; // x, y: shift in px of the zoomed map
const size = { w: 0, h: 0 };
const chosen = { places: new Set(), users: new Set(), hover: null, user: -1 };
let colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  colours = { surface: read("--surface"), ink: read("--ink"), quiet: read("--quiet"), none: read("--fill") };
  colours.fill = data.segments.map((s) => read(`--s${s.slot}`));
  colours.text = data.segments.map((s) => read(`--t${s.slot}`));
}

const across = (x) => (EDGE + (x / data.side) * (size.w - 2 * EDGE)) * view.zoom + view.x;
const down = (y) => (EDGE + (y / data.side) * (size.h - 2 * EDGE)) * view.zoom + view.y;

function fitCanvas() {
  const ratio = window.devicePixelRatio || 1;
  size.w = canvas.clientWidth;
  size.h = canvas.clientHeight;
  canvas.width = Math.round(size.w * ratio);
  canvas.height = Math.round(size.h * ratio);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
}

// Places of the segments that stand out now, or null when all do.
function inFocus() {
  if (chosen.hover !== null) return new Set([chosen.hover]);
  return chosen.places.size || chosen.users.size ? chosen.places : null;
}

function dotRadius() {
  const crowd = Math.sqrt((size.w * size.h) / Math.max(data.x.length, 1));
  return Math.min(Math.max(crowd * 0.16, 1.5), 4) * Math.min(Math.sqrt(view.zoom), 2.4);
}

function drawDots(focus) {
  const radius = dotRadius();
  const dot = (i, r) => {
    const x = across(data.x[i]);
    const y = down(data.y[i]);
    if (x < -9 || y < -9 || x > size.w + 9 || y > size.h + 9) return;
    pen.beginPath();
    pen.arc(x, y, r, 0, 2 * Math.PI);
    pen.fill();
  };
  const stands = (i) => !focus || focus.has(data.segment[i]) || chosen.users.has(i);
  for (const front of focus ? [false, true] : [true]) {
    for (let i = 0; i < data.x.length; i++) {
      if (stands(i) !== front) continue;
      const place = data.segment[i];
      pen.fillStyle = place < 0 ? colours.none : colours.fill[place];
      pen.globalAlpha = front ? 0.28 + 0.62 * (data.strength[i] / 100) : 0.09;
      dot(i, radius);
    }
  }
  pen.globalAlpha = 1;
}

function drawRings() {
  const radius = dotRadius();
  for (const i of chosen.user < 0 ? chosen.users : [...chosen.users, chosen.user]) {
    pen.strokeStyle = colours.ink;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(across(data.x[i]), down(data.y[i]), radius + 3.5, 0, 2 * Math.PI);
    pen.stroke();
  }
}

let waiting = false;
function redraw() {
  if (!pen || waiting) return;
  waiting = true;
  requestAnimationFrame(drawNow);
}

function drawNow() {
  waiting = false;
  pen.clearRect(0, 0, size.w, size.h);
  const focus = inFocus();
  drawDots(focus);
  drawLabels(focus);
  drawRings();
}

// Zoom about a point of the canvas; never so far out that the map leaves its frame.
function zoomAt(x, y, factor) {
  const zoom = Math.min(Math.max(view.zoom * factor, 1), MAX_ZOOM);
  moveTo(zoom, x - ((x - view.x) * zoom) / view.zoom, y - ((y - view.y) * zoom) / view.zoom);
}

function moveTo(zoom, x, y) {
  view.zoom = zoom;
  view.x = Math.min(0, Math.max(x, size.w * (1 - zoom)));
  view.y = Math.min(0, Math.max(y, size.h * (1 - zoom)));
  canvas.style.touchAction = zoom > 1 ? "none" : "pan-y";
  redraw();
}

function nearestUser(x, y, reach) {
  let best = -1;
  let least = reach * reach;
  for (let i = 0; i < data.x.length; i++) {
    const dx = across(data.x[i]) - x;
    const dy = down(data.y[i]) - y;
    const far = dx * dx + dy * dy;
    if (far < least) [best, least] = [i, far];
  }
  return best;
}
