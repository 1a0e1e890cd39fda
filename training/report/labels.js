// Numbers at the middle of each segment, and names beside them where there is room.

const CHIP = 11; // radius, px
const GAP = 3;
const LINE = 14;
const NAME_WIDTH = 128;
const AREA_PER_NAME = 21000; // px² of map that a name needs beside it to read calmly
const FONT = `12px ${getComputedStyle(document.body).fontFamily}`;

// The member next to the segment's median: a median alone may stand where nobody is.
const anchors = data.segments.map((_, place) => {
  const members = [];
  data.segment.forEach((s, i) => s === place && members.push(i));
  if (!members.length) return null;
  const middle = (values) => values.sort((a, b) => a - b)[values.length >> 1];
  const x = middle(members.map((i) => data.x[i]));
  const y = middle(members.map((i) => data.y[i]));
  const far = (i) => (data.x[i] - x) ** 2 + (data.y[i] - y) ** 2;
  const near = members.reduce((a, b) => (far(b) < far(a) ? b : a));
  return { x: data.x[near], y: data.y[near], n: members.length };
});

// Where the zoom buttons lie over the map.
const buttons = () => ({ x: size.w - 56, y: size.h - 130, w: 56, h: 130 });

function wrapped(text) {
  const lines = [];
  for (const word of text.split(" ")) {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
    const room = word.length < 4 ? 1.25 * NAME_WIDTH : NAME_WIDTH; // no short word alone on a line
    if (lines.length && pen.measureText(longer).width <= room) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  const kept = lines.slice(0, 3);
  if (lines.length > 3) kept[2] += " …";
  return kept.map((line) => {
    let end = line.length;
    while (end > 1 && pen.measureText(line.slice(0, end)).width > NAME_WIDTH * 1.3) end--;
    return end < line.length ? `${line.slice(0, end)}…` : line;
  });
}

// Chips push each other apart until none overlap, and stay inside the frame.
function placedChips() {
  const chips = [];
  anchors.forEach((anchor, place) => {
    if (!anchor) return;
    const [x, y] = [across(anchor.x), down(anchor.y)];
    if (x > 0 && y > 0 && x < size.w && y < size.h) chips.push({ place, n: anchor.n, x, y, fromX: x, fromY: y });
  });
  const apart = 2 * CHIP + GAP;
  for (let round = 0; round < 60; round++) {
    let moved = false;
    chips.forEach((a, i) => chips.slice(0, i).forEach((b) => {
      const [dx, dy] = [a.x - b.x || 0.01 * (i + 1), a.y - b.y];
      const far = Math.hypot(dx, dy);
      if (far >= apart) return;
      const push = (apart - far) / 2 / far;
      a.x += dx * push; a.y += dy * push; b.x -= dx * push; b.y -= dy * push;
      moved = true;
    }));
    for (const chip of chips) {
      chip.x = Math.min(Math.max(chip.x, CHIP + 2), size.w - CHIP - 2);
      chip.y = Math.min(Math.max(chip.y, CHIP + 2), size.h - CHIP - 2);
      if (chip.x > buttons().x - CHIP && chip.y > buttons().y - CHIP) chip.x = buttons().x - CHIP;
    }
    if (!moved) break;
  }
  return chips;
}

const overlaps = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

function dotsUnder(box, place) {
  let n = 0;
  for (let i = 0; i < data.x.length; i++) {
    const [x, y] = [across(data.x[i]), down(data.y[i])];
    if (x > box.x && y > box.y && x < box.x + box.w && y < box.y + box.h) n += data.segment[i] === place ? 1 : 2;
  }
  return n;
}

// The place beside its chip where a name hides the fewest dots and touches nothing, or none.
function placedName(chip, taken) {
  const lines = wrapped(data.segments[chip.place].name);
  const w = Math.max(...lines.map((line) => pen.measureText(line).width));
  const h = lines.length * LINE;
  const zoomButtons = buttons();
  const inside = (b) => b.x > 4 && b.y > 4 && b.x + w < size.w - 4 && b.y + h < size.h - 4;
  const fits = (b) => inside(b) && !overlaps(b, zoomButtons) && !taken.some((other) => overlaps(b, other));
  const boxes = [4, 22, 40].flatMap((extra) => {
    const off = CHIP + extra;
    const [left, middle, right] = [chip.x - off - w, chip.x - w / 2, chip.x + off];
    const sides = [
      { x: right, y: chip.y - h / 2, align: "left" },
      { x: left, y: chip.y - h / 2, align: "right" },
      { x: middle, y: chip.y + off, align: "center" },
      { x: middle, y: chip.y - off - h, align: "center" },
    ];
    return sides.map((side) => ({ ...side, w, h, lines, extra }));
  });
  const free = boxes.filter(fits);
  free.forEach((box) => { box.cost = dotsUnder(box, chip.place) + box.extra * 0.6; });
  return free.sort((a, b) => a.cost - b.cost)[0];
}

function drawLabels(focus) {
  pen.font = FONT;
  const chips = placedChips();
  const stands = (chip) => !focus || focus.has(chip.place);
  const taken = chips.map((c) => ({ x: c.x - CHIP - 2, y: c.y - CHIP - 2, w: 2 * CHIP + 4, h: 2 * CHIP + 4 }));
  const room = Math.max(Math.floor((size.w * size.h) / AREA_PER_NAME), focus ? 1 : 0);
  const named = chips.filter(stands).sort((a, b) => b.n - a.n).slice(0, room);
  for (const chip of named) {
    const box = placedName(chip, taken);
    if (!box) continue;
    taken.push({ x: box.x - 2, y: box.y - 1, w: box.w + 4, h: box.h + 2 });
    drawName(box);
  }
  chips.forEach((chip) => drawChip(chip, stands(chip)));
}

function drawName(box) {
  const x = { left: box.x, right: box.x + box.w, center: box.x + box.w / 2 }[box.align];
  pen.textAlign = box.align;
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  pen.lineWidth = 5;
  pen.strokeStyle = colours.surface;
  pen.fillStyle = colours.surface;
  pen.globalAlpha = 0.6;
  pen.fillRect(box.x - 2, box.y, box.w + 4, box.h);
  pen.globalAlpha = 1;
  pen.fillStyle = colours.ink;
  box.lines.forEach((line, i) => pen.strokeText(line, x, box.y + LINE * (i + 0.5)));
  box.lines.forEach((line, i) => pen.fillText(line, x, box.y + LINE * (i + 0.5)));
}

function drawChip(chip, stands) {
  pen.globalAlpha = stands ? 1 : 0.25;
  if (Math.hypot(chip.x - chip.fromX, chip.y - chip.fromY) > 4) {
    pen.strokeStyle = colours.fill[chip.place];
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(chip.fromX, chip.fromY);
    pen.lineTo(chip.x, chip.y);
    pen.stroke();
  }
  pen.beginPath();
  pen.arc(chip.x, chip.y, CHIP, 0, 2 * Math.PI);
  pen.fillStyle = colours.fill[chip.place];
  pen.fill();
  pen.lineWidth = 2;
  pen.strokeStyle = colours.surface;
  pen.stroke();
  pen.fillStyle = colours.text[chip.place];
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.font = FONT.replace("12px", "700 11px");
  pen.fillText(data.segments[chip.place].id, chip.x, chip.y + 0.5);
  pen.font = FONT;
  pen.globalAlpha = 1;
}
