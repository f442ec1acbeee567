// Makes world.svg: the borders of Natural Earth (public domain), from the npm packages world-atlas 2.0.2 and topojson-client,
// in the Natural Earth projection, rounded to the pixel of a map 640 pixels wide. Countries that are too small for the
// coarse borders are dots. Identifiers are ISO 3166-1 alpha-2 codes, from the npm package i18n-iso-countries.
//
//   npm install world-atlas@2 topojson-client i18n-iso-countries
//   node world.mjs > world.svg
import { createRequire } from "node:module";
const require = createRequire(process.cwd() + "/");
const { feature } = require("topojson-client");
const { numericToAlpha2 } = require("i18n-iso-countries");

const WIDTH = 640;
const read = (name) => {
  const topology = require(`world-atlas/${name}.json`);
  const named = { Kosovo: "XK" };
  const code = (shape) => numericToAlpha2(shape.id) ?? named[shape.properties.name];
  return feature(topology, topology.objects.countries).features
    .map((shape) => ({ code: code(shape), geometry: shape.geometry }))
    .filter(({ code }) => code !== "AQ");
};

// The Natural Earth projection, as a polynomial (Šavrič et al. 2011), in pixels.
function project([longitude, latitude]) {
  const [λ, φ] = [longitude, latitude].map((degrees) => (degrees * Math.PI) / 180);
  const [φ2, φ4] = [φ ** 2, φ ** 4];
  const x = λ * (0.8707 - 0.131979 * φ2 + φ4 * (-0.013791 + φ4 * (0.003971 * φ2 - 0.001529 * φ4)));
  const y = φ * (1.007226 + φ2 * (0.015085 + φ4 * (-0.044475 + 0.028874 * φ2 - 0.005916 * φ4)));
  const scale = WIDTH / (2 * 0.8707 * Math.PI);
  return [WIDTH / 2 + x * scale, 166 - y * scale].map(Math.round);
}

// A ring across the antimeridian, such as that of Russia, ends at it.
function withinTheMap(points) {
  const crosses = points.some(([longitude], i) => i > 0 && Math.abs(longitude - points[i - 1][0]) > 180);
  return crosses ? points.map(([longitude, latitude]) => [longitude < 0 ? 180 : longitude, latitude]) : points;
}

// A closed ring as a path with relative lines, or nothing if less than a pixel is left of it.
function ring(points) {
  const pixels = withinTheMap(points).map(project).filter((at, i, all) => i === 0 || at.join() !== all[i - 1].join());
  const corners = pixels.slice(0, -1);
  if (corners.length < 3) return "";
  const steps = corners.slice(1).map(([x, y], i) => [x - corners[i][0], y - corners[i][1]].join(" "));
  return `M${corners[0].join(" ")}l${steps.join(" ")}z`.replaceAll(" -", "-");
}

const polygons = ({ type, coordinates }) => (type === "Polygon" ? [coordinates] : coordinates);
const lines = [];
const drawn = new Set();
for (const { code, geometry } of read("countries-110m")) {
  const path = polygons(geometry).flatMap((rings) => rings.map(ring)).join("");
  if (!path) continue;
  lines.push(`<path${code ? ` id="${code}"` : ""} d="${path}"/>`);
  if (code) drawn.add(code);
}
for (const { code, geometry } of read("countries-50m")) {
  if (!code || drawn.has(code)) continue;
  // The middle of the largest part.
  const [largest] = polygons(geometry).map(([outer]) => outer).sort((a, b) => b.length - a.length);
  const middle = [0, 1].map((axis) => largest.reduce((sum, point) => sum + point[axis], 0) / largest.length);
  const [x, y] = project(middle);
  lines.push(`<circle id="${code}" cx="${x}" cy="${y}" r="2"/>`);
  drawn.add(code);
}
lines.sort();
console.log(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} 290">`);
console.log("<!-- Borders: Natural Earth, public domain. Made by world.mjs. -->");
console.log(lines.join("\n"));
console.log("</svg>");
