// Masks: COCO's run lengths to pixels on a canvas.

// Tint and edge, as bytes of red, green, blue and opacity.
const TINT = [255, 46, 136, 107];
const EDGE = [255, 46, 136, 255];

// A byte for each pixel, column by column.
export function bitmap({ size: [height, width], counts }) {
  const pixels = new Uint8Array(width * height);
  let at = 0;
  runLengths(counts).forEach((length, i) => {
    if (i % 2) pixels.fill(1, at, at + length);
    at += length;
  });
  return pixels;
}

const word = (bytes) => new Uint32Array(new Uint8Array(bytes).buffer)[0];

// The mask at the canvas's size: tinted, with an edge `pen` canvas pixels wide.
export function paint(canvas, pixels, [height, width], pen) {
  const [w, h] = [canvas.width, canvas.height];
  const context = canvas.getContext("2d");
  const image = context.createImageData(w, h);
  const out = new Uint32Array(image.data.buffer);
  const inside = new Uint8Array(w * h);
  const rows = Array.from({ length: h }, (_, y) => Math.floor(((y + 0.5) * height) / h));
  for (let x = 0; x < w; x += 1) {
    const column = Math.floor(((x + 0.5) * width) / w) * height;
    for (let y = 0; y < h; y += 1) inside[y * w + x] = pixels[column + rows[y]];
  }
  const [tint, edge] = [word(TINT), word(EDGE)];
  for (let y = 0, i = 0; y < h; y += 1) {
    for (let x = 0; x < w; x += 1, i += 1) {
      if (!inside[i]) continue;
      // The image's border is no edge of what goes on beyond it.
      const inner = (x < pen || inside[i - pen]) && (x + pen >= w || inside[i + pen])
        && (y < pen || inside[i - pen * w]) && (y + pen >= h || inside[i + pen * w]);
      out[i] = inner ? tint : edge;
    }
  }
  context.putImageData(image, 0, 0);
}
