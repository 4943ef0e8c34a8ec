const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes, parent) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.append(node);
  return node;
}

function frame(image, parent) {
  const figure = document.createElement("figure");
  const box = document.createElement("div");
  box.className = "frame";
  const picture = document.createElement("img");
  picture.src = image.source;
  picture.alt = image.name;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${image.width} ${image.height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  const caption = document.createElement("figcaption");
  box.append(picture, svg);
  figure.append(box, caption);
  parent.append(figure);
  return { image, svg, caption };
}

// A label that would leave the picture moves to the left; one that is wider loses letters.
function keepInside(text, width, margin) {
  const room = width - 2 * margin;
  let length = text.getComputedTextLength();
  if (length > room) {
    const [, name, score] = text.textContent.match(/^(.*)( [0-9.]+)$/s);
    for (let kept = name.length - 1; length > room && kept > 0; kept--) {
      text.textContent = `${name.slice(0, kept)}\u2026${score}`;
      length = text.getComputedTextLength();
    }
  }
  text.setAttribute("x", Math.max(margin, Math.min(Number(text.getAttribute("x")), width - margin - length)));
}

function draw(view, threshold, withTruth) {
  const { image, svg, caption } = view;
  svg.replaceChildren();
  const size = Math.max(image.width, image.height) / 26;
  if (withTruth) {
    for (const [x, y, width, height, name] of image.truth) {
      const node = element("rect", { class: "truth", x, y, width, height }, svg);
      element("title", {}, node).textContent = data.classes[name];
    }
  }
  let right = 0, wrong = 0;
  for (const [x, y, width, height, name, score, verdict] of image.found) {
    if (score < threshold) continue;
    right += verdict === 1;
    wrong += verdict === 0;
    const kind = verdict === 1 ? "right" : verdict === 0 ? "wrong" : "other";
    element("rect", { class: kind, x, y, width, height }, svg);
    const place = { x: x + size * 0.15, y: Math.max(y - size * 0.2, size), "font-size": size, "stroke-width": size / 6 };
    const text = element("text", place, svg);
    text.textContent = `${data.classes[name]} ${score.toFixed(2)}`;
    keepInside(text, image.width, size / 6);
  }
  caption.textContent = `${image.name}: ${image.truth.length} objects, ${right} right, ${wrong} wrong`;
}

const slider = document.getElementById("threshold");
if (slider) {
  const truth = document.getElementById("truth");
  const shown = document.getElementById("shown");
  const views = ["worst", "best"].flatMap((kind) =>
    data[kind].map((image) => frame(image, document.getElementById(kind))),
  );
  const redraw = () => {
    const threshold = Number(slider.value);
    shown.textContent = threshold.toFixed(2);
    for (const view of views) draw(view, threshold, truth.checked);
  };
  slider.addEventListener("input", redraw);
  truth.addEventListener("change", redraw);
  redraw();
}
