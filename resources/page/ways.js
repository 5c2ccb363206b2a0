// The lines of edges, as in the window: forward a curve, past nodes by a lane of its own, backward below the nodes.
// All is thought from left to right; where the flow goes down, x and y change places when a point is written.

const REACH = 26;
const LANE = 34;
const CORNER = 40;

/** Places and size of the nodes of a drawing. Boxes are [left, top, right, bottom] along and across the flow. */
export class Ways {
  constructor(places, width, height, down) {
    this.down = down;
    this.boxes = new Map();
    for (const [id, { x, y }] of Object.entries(places)) {
      this.boxes.set(id, down ? [y, x, y + height, x + width] : [x, y, x + width, y + height]);
    }
    this.sorted = [...this.boxes.values()].sort((a, b) => a[0] - b[0]);
    this.widest = down ? height : width;
    this.lanes = []; // [left, y, right] of those taken, so that none runs on another
    this.extent = { right: -Infinity, bottom: -Infinity, left: Infinity, top: Infinity };
    for (const box of this.sorted) this.include(box[0], box[1]), this.include(box[2], box[3]);
  }

  include(x, y) {
    const extent = this.extent;
    extent.left = Math.min(extent.left, x);
    extent.right = Math.max(extent.right, x);
    extent.top = Math.min(extent.top, y);
    extent.bottom = Math.max(extent.bottom, y);
  }

  /** Boxes that touch an area. */
  touching(left, top, right, bottom) {
    let low = 0;
    let high = this.sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.sorted[middle][0] < left - this.widest) low = middle + 1;
      else high = middle;
    }
    const found = [];
    for (let at = low; at < this.sorted.length && this.sorted[at][0] <= right; at++) {
      const box = this.sorted[at];
      if (box[2] >= left && box[1] <= bottom && box[3] >= top) found.push(box);
    }
    return found;
  }

  /** The line between two nodes: its path, its middle, and its end. `shift` moves the start, for error edges. */
  find(fromId, toId, shift = 0) {
    const from = this.boxes.get(fromId);
    const to = this.boxes.get(toId);
    const start = [from[2], (from[1] + from[3]) / 2 + shift];
    const end = [to[0] - 2, (to[1] + to[3]) / 2];
    if (end[0] < start[0] + 12) return this.backward(start, end, from, to);
    const pull = Math.min(160, Math.max((end[0] - start[0]) / 2, Math.min(Math.abs(end[1] - start[1]) / 2, 48)));
    const curve = [start, [start[0] + pull, start[1]], [end[0] - pull, end[1]], end];
    const lane = end[0] - start[0] > this.widest ? this.detour(curve, from, to) : null;
    if (lane === null) return this.written([["M", start], ["C", ...curve.slice(1)]], bezier(curve, this.down ? 0.72 : 0.5)); // side by side, two labels have more room near their targets
    return this.along(start, end, lane);
  }

  /** The height of a lane around the nodes that a curve would run through; null where its way is free. */
  detour(curve, from, to) {
    const [start, , , end] = curve;
    const near = this.touching(start[0], Math.min(start[1], end[1]), end[0], Math.max(start[1], end[1])).filter((box) => box !== from && box !== to);
    const points = near.length ? Array.from({ length: 23 }, (_, at) => bezier(curve, (at + 1) / 24)) : [];
    const hit = near.filter((box) => points.some(([x, y]) => x >= box[0] && x <= box[2] && y >= box[1] - 4 && y <= box[3] + 4));
    if (!hit.length) return null;
    const left = start[0] + 20;
    const right = end[0] - 20;
    const middle = (start[1] + end[1]) / 2;
    const above = Math.min(...hit.map((box) => box[1])) - 20;
    const below = Math.max(...hit.map((box) => box[3])) + 20;
    return middle - above <= below - middle ? this.free(left, right, above, -1) : this.free(left, right, below, 1);
  }

  /** The nearest height from y on, upwards or downwards, at which nothing stands between left and right. */
  free(left, right, y, direction) {
    for (let tries = 0; tries < 12; tries++) {
      const blocking = this.touching(left, y - 12, right, y + 12);
      const beside = this.lanes.find((lane) => lane[0] < right && lane[2] > left && Math.abs(lane[1] - y) < 10);
      if (blocking.length) y = direction < 0 ? Math.min(...blocking.map((box) => box[1])) - 20 : Math.max(...blocking.map((box) => box[3])) + 20;
      else if (beside) y = beside[1] + direction * 14;
      else break;
    }
    this.lanes.push([left, y, right]);
    this.include(left, y + direction * 12);
    return y;
  }

  along(start, end, lane) {
    const bend = Math.min(88, Math.max(30, (end[0] - start[0]) / 3));
    const left = [start[0] + bend, lane];
    const right = [end[0] - bend, lane];
    return this.written(
      [["M", start], ["C", [start[0] + bend * 0.6, start[1]], [left[0] - bend * 0.6, lane], left], ["L", right],
        ["C", [right[0] + bend * 0.6, lane], [end[0] - bend * 0.6, end[1]], end]],
      [(left[0] + right[0]) / 2, lane],
    );
  }

  backward(start, end, from, to) {
    const left = end[0] - REACH;
    const right = start[0] + REACH;
    const lane = this.free(left, right, Math.max(from[3], to[3]) + LANE, 1);
    const corner = Math.min(CORNER, (lane - Math.max(start[1], end[1])) / 2);
    this.include(left, lane + 14);
    this.include(right, lane + 14);
    return this.written(
      [["M", start], ["C", [right, start[1]], [right, start[1]], [right, start[1] + corner]], ["L", [right, lane - corner]],
        ["C", [right, lane], [right, lane], [right - corner, lane]], ["L", [left + corner, lane]],
        ["C", [left, lane], [left, lane], [left, lane - corner]], ["L", [left, end[1] + corner]],
        ["C", [left, end[1]], [left, end[1]], end]],
      [(left + right) / 2, lane],
    );
  }

  turned([x, y]) {
    return this.down ? [y, x] : [x, y];
  }

  written(parts, middle) {
    const text = (point) => this.turned(point).map((value) => value.toFixed(1)).join(",");
    return { d: parts.map(([letter, ...points]) => letter + points.map(text).join(" ")).join(""), middle: this.turned(middle) };
  }

  /** The box around everything that was drawn: x, y, width, height. */
  get bounds() {
    const { left, top, right, bottom } = this.extent;
    const [x, y] = this.turned([left, top]);
    const [far, low] = this.turned([right, bottom]);
    return { x, y, width: far - x, height: low - y };
  }
}

function bezier(curve, t) {
  const u = 1 - t;
  const weights = [u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t];
  return [0, 1].map((axis) => curve.reduce((sum, point, at) => sum + weights[at] * point[axis], 0));
}
