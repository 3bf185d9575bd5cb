// Boxes and points over the image: drawn, moved, added, removed.
// Coordinates of objects are pixels of the image; the drawing's are pixels of the screen.

const NAMES = ["upper left corner", "upper right corner", "lower right corner", "lower left corner"];
// Which of [x0, y0, x1, y1] a corner moves.
const CORNERS = [[0, 1], [2, 1], [2, 3], [0, 3]];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
// Screen pixels that a pointer may tremble in a click.
const TREMBLE = 4;
// A point that is younger (milliseconds) is not removed: the double click was two clicks.
const YOUNG = 600;

export const hasSomething = (object) => Boolean(object.bbox) || object.points.length + object.background.length > 0;

function shape(name) {
  return document.createElementNS("http://www.w3.org/2000/svg", name);
}

// `model` is { size: [width, height], objects (at least one), active, tool }; `changed` is told after every change, and
// `before` before the first of a gesture.
export class Stage {
  constructor(svg, model, { before, changed }) {
    Object.assign(this, { svg, model, before, changed, nodes: new Map(), gesture: null, born: 0 });
    for (const layer of ["box", "point"]) {
      const group = svg.appendChild(shape("g"));
      group.classList.add(`layer-${layer}`);
      this[layer] = group;
    }
    svg.addEventListener("pointerdown", (event) => this.down(event));
    svg.addEventListener("pointermove", (event) => this.move(event));
    svg.addEventListener("pointerup", (event) => this.up(event));
    svg.addEventListener("pointercancel", () => this.cancel());
    svg.addEventListener("dblclick", (event) => this.twice(event));
    svg.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(svg);
  }

  // Screen pixels of an image pixel.
  scale() {
    return this.svg.clientWidth / this.model.size[0] || 1;
  }

  place(event) {
    const box = this.svg.getBoundingClientRect();
    return this.clamp([event.clientX - box.left, event.clientY - box.top].map((v) => v / this.scale()));
  }

  clamp(place) {
    return place.map((v, i) => Math.round(Math.min(Math.max(v, 0), this.model.size[i]) * 10) / 10);
  }

  object(number = this.model.active) {
    return this.model.objects[number];
  }

  handle(event) {
    const node = event.target.closest?.("[data-kind]");
    if (!node) return null;
    const { object, kind, index } = node.dataset;
    return { object: Number(object), kind, index: Number(index) };
  }

  down(event) {
    if (event.button !== 0 || this.gesture) return;
    const handle = this.handle(event);
    if (handle) this.model.active = handle.object;
    else event.preventDefault();
    const start = this.place(event);
    this.svg.setPointerCapture(event.pointerId);
    this.gesture = {
      handle, start, x: event.clientX, y: event.clientY, moved: false,
      // A finger that drags scrolls the page, unless boxes are drawn.
      draws: event.pointerType !== "touch" || this.model.tool === "bbox",
      origin: handle && structuredClone(this.object(handle.object)),
      undo: structuredClone(this.model.objects),
    };
    this.draw();
  }

  move(event) {
    const { gesture } = this;
    if (!gesture) return;
    const far = Math.hypot(event.clientX - gesture.x, event.clientY - gesture.y) > TREMBLE;
    if (!gesture.moved) {
      if (!far || !(gesture.handle || gesture.draws)) return;
      gesture.moved = true;
      this.before();
    }
    const at = this.place(event);
    if (gesture.handle) this.carry(gesture, at);
    else this.object().bbox = upright([...gesture.start, ...at]);
    this.tell();
  }

  // Moves what was taken hold of.
  carry({ handle: { object, kind, index }, origin, start }, at) {
    const own = this.object(object);
    if (kind === "corner") {
      own.bbox = [...origin.bbox];
      CORNERS[index].forEach((side, axis) => { own.bbox[side] = at[axis]; });
    } else if (kind === "bbox") {
      own.bbox = this.shifted(origin.bbox, [at[0] - start[0], at[1] - start[1]]);
    } else {
      own[kind][index] = at;
    }
  }

  // A box elsewhere, of the same size and within the image.
  shifted(bbox, by) {
    const [x0, y0, x1, y1] = bbox;
    const low = [Math.min(x0, x1), Math.min(y0, y1)], high = [Math.max(x0, x1), Math.max(y0, y1)];
    const limited = by.map((v, i) => Math.min(Math.max(v, -low[i]), this.model.size[i] - high[i]));
    return bbox.map((v, i) => Math.round((v + limited[i % 2]) * 10) / 10);
  }

  up(event) {
    const { gesture } = this;
    this.gesture = null;
    if (!gesture) return;
    if (gesture.moved) {
      const object = this.object(gesture.handle?.object);
      if (object?.bbox) object.bbox = upright(object.bbox);
      this.tell();
    } else if (gesture.handle) {
      this.focus(gesture.handle);
    } else {
      const beside = event.shiftKey || this.model.tool === "background";
      this.add(beside ? "background" : "points", gesture.start);
    }
  }

  // Everything as it was before the gesture.
  cancel() {
    if (this.gesture?.moved) {
      this.model.objects = this.gesture.undo;
      this.tell();
    }
    this.gesture = null;
  }

  add(kind, at) {
    this.before();
    const index = this.object()[kind].push(this.clamp(at)) - 1;
    this.born = performance.now();
    this.tell();
    this.focus({ object: this.model.active, kind, index });
  }

  // The pointer was captured, so the event does not say what lies under it.
  twice(event) {
    const target = document.elementFromPoint(event.clientX, event.clientY);
    const handle = target && this.handle({ target });
    if (handle && performance.now() - this.born > YOUNG) this.remove(handle);
  }

  remove({ object, kind, index }) {
    this.before();
    const own = this.object(object);
    if (kind === "points" || kind === "background") own[kind].splice(index, 1);
    else own.bbox = null;
    if (!hasSomething(own) && this.model.objects.length > 1) {
      this.model.objects.splice(object, 1);
      this.model.active = Math.max(0, Math.min(this.model.active, this.model.objects.length - 1));
    }
    this.tell();
    this.svg.querySelector("[data-kind]")?.focus({ preventScroll: true });
  }

  key(event) {
    const handle = this.handle(event);
    if (event.key === "Escape" && this.gesture) return this.cancel();
    if (!handle || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      return this.remove(handle);
    }
    const arrow = ARROWS[event.key];
    if (!arrow) return;
    event.preventDefault();
    this.before();
    this.model.active = handle.object;
    const by = arrow.map((v) => v * (event.shiftKey ? 10 : 1));
    const own = this.object(handle.object);
    const moved = (place) => this.clamp(place.map((v, i) => v + by[i]));
    if (handle.kind === "bbox") own.bbox = this.shifted(own.bbox, by);
    else if (handle.kind === "corner") {
      const sides = CORNERS[handle.index];
      moved(sides.map((side) => own.bbox[side])).forEach((v, axis) => { own.bbox[sides[axis]] = v; });
    } else own[handle.kind][handle.index] = moved(own[handle.kind][handle.index]);
    this.tell();
  }

  focus({ object, kind, index }) {
    this.nodes.get(`${object} ${kind} ${index}`)?.focus({ preventScroll: true });
  }

  tell() {
    this.draw();
    this.changed();
  }

  draw() {
    const scale = this.scale();
    const stale = new Set(this.nodes.keys());
    this.model.objects.forEach((own, object) => {
      const put = (kind, index, build, update) => {
        const key = `${object} ${kind} ${index}`;
        stale.delete(key);
        if (!this.nodes.has(key)) this.nodes.set(key, build(object, kind, index));
        const node = this.nodes.get(key);
        update(node);
        node.classList.toggle("active", object === this.model.active);
      };
      if (own.bbox) {
        const [x0, y0, x1, y1] = own.bbox.map((v) => v * scale);
        put("bbox", 0, (...of) => this.rectangle(...of), (node) => {
          for (const line of node.children) {
            const [x, y] = [Math.min(x0, x1), Math.min(y0, y1)];
            set(line, { x, y, width: Math.abs(x1 - x0), height: Math.abs(y1 - y0) });
          }
          name(node, `Box of object ${object + 1}, ${own.bbox.map(Math.round).join(", ")}`);
        });
        CORNERS.forEach((sides, index) => put("corner", index, (...of) => this.knob(...of), (node) => {
          const [x, y] = sides.map((side) => own.bbox[side]);
          set(node, { transform: `translate(${x * scale} ${y * scale})` });
          name(node, `Box of object ${object + 1}: ${NAMES[index]}, ${Math.round(x)}, ${Math.round(y)}`);
        }));
      }
      for (const kind of ["points", "background"]) {
        own[kind].forEach(([x, y], index) => put(kind, index, (...of) => this.dot(...of), (node) => {
          set(node, { transform: `translate(${x * scale} ${y * scale})` });
          const what = kind === "points" ? "Point on" : "Point beside";
          name(node, `${what} object ${object + 1}, ${Math.round(x)}, ${Math.round(y)}`);
        }));
      }
    });
    for (const key of stale) {
      this.nodes.get(key).remove();
      this.nodes.delete(key);
    }
  }

  // A group that can be held, with shapes in it.
  grip(layer, [object, kind, index], ...shapes) {
    const node = layer.appendChild(shape("g"));
    set(node, { tabindex: 0, role: "button", "aria-roledescription": "movable mark", class: `grip ${kind}` });
    Object.assign(node.dataset, { object, kind, index });
    for (const [tag, attributes] of shapes) set(node.appendChild(shape(tag)), attributes);
    return node;
  }

  rectangle(...of) {
    return this.grip(this.box, of, ["rect", { class: "reach" }], ["rect", { class: "halo" }], ["rect", { class: "line" }]);
  }

  knob(...of) {
    const side = (r) => ({ x: -r, y: -r, width: 2 * r, height: 2 * r });
    const node = this.grip(this.box, of, ["rect", { ...side(14), class: "touch" }], ["rect", { ...side(5), rx: 2, class: "face" }]);
    node.classList.add(of[2] % 2 ? "falling" : "rising");
    return node;
  }

  // A plus on the object, a minus beside it: colour alone says nothing to some.
  dot(...of) {
    const d = of[1] === "points" ? "M-4 0H4M0-4V4" : "M-4 0H4";
    return this.grip(this.point, of, ["circle", { r: 18, class: "touch" }], ["circle", { r: 8.5, class: "face" }], ["path", { d, class: "sign" }]);
  }
}

export const empty = () => ({ bbox: null, points: [], background: [] });

function upright([x0, y0, x1, y1]) {
  return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
}

function set(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
}

function name(node, text) {
  node.setAttribute("aria-label", text);
}
