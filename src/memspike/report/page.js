"use strict";
(() => {
  const make = (name, given = {}, ...inside) => {
    const svg = ["svg", "g", "path", "text", "line", "circle"].includes(name);
    const one = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(given)) one.setAttribute(key, value);
    one.append(...inside);
    return one;
  };
  const short = (x) => (x === null || x === undefined || !isFinite(x) ? "none" : String(Number(Number(x).toPrecision(4))));
  const data = (node) => JSON.parse(node.textContent);
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

  // tables: a heading is a button that sorts
  const PREFIX = { f: 1e-15, p: 1e-12, n: 1e-9, "µ": 1e-6, m: 1e-3, k: 1e3, M: 1e6, G: 1e9 };
  const SPANS = { min: 60, h: 3600, d: 86400, month: 2629746, months: 2629746, y: 31556952 };
  const worth = (text) => {
    const found = /^([-+−]?[\d.]+(?:e[-+]?\d+)?)(.*)$/i.exec(text.trim());
    if (!found) return null;
    const unit = found[2].trim().split(" ").pop();
    const scale = SPANS[unit] || (unit.length > 1 && /^.(A|F|Hz|J|S|V|W|s|Ω)/.test(unit) ? PREFIX[unit[0]] || 1 : 1);
    return Number(found[1].replace("−", "-")) * scale;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const button = make("button", { type: "button" }, head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const texts = new Map([...body.rows].map((row) => [row, row.cells[column].textContent]));
        const order = (a, b) => {
          const [x, y] = [worth(texts.get(a)), worth(texts.get(b))];
          if (x !== null && y !== null) return x - y;
          if (x !== null || y !== null) return x === null ? 1 : -1;
          return texts.get(a).localeCompare(texts.get(b));
        };
        const rows = [...body.rows].sort(order);
        body.append(...(down ? rows.reverse() : rows));
      });
    });
  }

  // figures: values under the pointer or at the keyboard's place, zoom
  const figure = (box) => {
    const svg = box.querySelector("svg");
    const panels = data(box.querySelector("script"));
    const whole = svg.viewBox.baseVal;
    const all = [whole.x, whole.y, whole.width, whole.height];
    const told = make("output", {});
    const mark = make("circle", { r: all[2] / 160, fill: "none", stroke: "var(--second)", "stroke-width": all[2] / 500 });
    mark.style.display = "none";
    svg.append(mark);
    let view = [...all];
    const show = (next) => {
      const width = clamp(next[2], all[2] / 16, all[2]);
      const height = (width / all[2]) * all[3];
      view = [clamp(next[0], 0, all[2] - width), clamp(next[1], 0, all[3] - height), width, height];
      svg.setAttribute("viewBox", view.join(" "));
      box.toggleAttribute("data-zoomed", width < all[2]);
    };
    const zoom = (by, x = view[0] + view[2] / 2, y = view[1] + view[3] / 2) =>
      show([x - (x - view[0]) * by, y - (y - view[1]) * by, view[2] * by, 0]);
    const actions = { "+": () => zoom(0.67), "−": () => zoom(1.5), "1:1": () => show(all) };
    const names = { "+": "zoom in", "−": "zoom out", "1:1": "whole figure" };
    const bar = make("div", { class: "bar" });
    for (const [text, act] of Object.entries(actions)) {
      const button = make("button", { type: "button", "aria-label": names[text], title: names[text] }, text);
      button.addEventListener("click", act);
      bar.append(button);
    }
    bar.append(told);
    box.append(bar);
    const forth = (value, scale) => (scale === "log" ? Math.log10(value) : value);
    const place = (p, x, y) => {
      const share = (v, [a, b], scale) => (forth(v, scale) - forth(a, scale)) / (forth(b, scale) - forth(a, scale));
      const [left, low, width, height] = p.box;
      return [(left + width * share(x, p.xlim, p.xscale)) * all[2], (1 - low - height * share(y, p.ylim, p.yscale)) * all[3]];
    };
    const value = (p, px, py) => {
      const at = (s, [a, b], scale) => {
        const found = forth(a, scale) + s * (forth(b, scale) - forth(a, scale));
        return scale === "log" ? 10 ** found : found;
      };
      const [left, low, width, height] = p.box;
      const [sx, sy] = [(px / all[2] - left) / width, (1 - py / all[3] - low) / height];
      return sx < 0 || sx > 1 || sy < 0 || sy > 1 ? null : [at(sx, p.xlim, p.xscale), at(sy, p.ylim, p.yscale)];
    };
    const axis = (name, usual, v) => `${name || usual} ${short(v)}`;
    const edges = (given, count) =>
      given.length > 2 ? given : Array.from({ length: count + 1 }, (_, k) => given[0] + ((given[1] - given[0]) * k) / count);
    const within = (list, v) => {
      for (let k = 0; k + 1 < list.length; k++) if ((v - list[k]) * (v - list[k + 1]) <= 0) return k;
      return -1;
    };
    const say = (p, text, at) => {
      told.textContent = [p.title, text].filter(Boolean).join(" · ");
      mark.style.display = at ? "" : "none";
      if (at) for (const [key, v] of [["cx", at[0]], ["cy", at[1]]]) mark.setAttribute(key, v);
    };
    const point = (p, line, k) => {
      const name = line.label ? `${line.label}: ` : "";
      const text = `${name}${axis(p.xlabel, "x", line.x[k])}, ${axis(p.ylabel, "y", line.y[k])}`;
      say(p, text, line.y[k] === null ? null : place(p, line.x[k], line.y[k]));
    };
    const cell = (p, image, row, column) => {
      const [xs, ys] = [edges(image.x, image.shape[1]), edges(image.y, image.shape[0])];
      const middle = [(xs[column] + xs[column + 1]) / 2, (ys[row] + ys[row + 1]) / 2];
      const v = image.v[row * image.shape[1] + column];
      const of = image.block > 1 ? ` (mean of ${image.block} × ${image.block})` : "";
      const text = `${axis(p.xlabel, "x", middle[0])}, ${axis(p.ylabel, "y", middle[1])}: ${image.label || "value"} ${short(v)}${of}`;
      say(p, text, place(p, ...middle));
    };
    const position = (event) => {
      const rect = svg.getBoundingClientRect();
      return [
        view[0] + ((event.clientX - rect.left) / rect.width) * view[2],
        view[1] + ((event.clientY - rect.top) / rect.height) * view[3],
      ];
    };
    let held = null;
    svg.addEventListener("pointermove", (event) => {
      const [px, py] = position(event);
      if (held) {
        show([view[0] + held[0] - px, view[1] + held[1] - py, view[2], 0]);
        return;
      }
      for (const p of panels) {
        const at = value(p, px, py);
        if (!at) continue;
        for (const image of p.images) {
          const row = within(edges(image.y, image.shape[0]), at[1]);
          const column = within(edges(image.x, image.shape[1]), at[0]);
          if (row >= 0 && column >= 0) return cell(p, image, row, column);
        }
        let best = [Infinity];
        for (const line of p.lines) {
          for (let k = 0; k < line.x.length; k++) {
            if (line.y[k] === null) continue;
            const [x, y] = place(p, line.x[k], line.y[k]);
            const far = (x - px) ** 2 + (y - py) ** 2;
            if (far < best[0]) best = [far, line, k];
          }
        }
        if (best[0] < (0.05 * all[2]) ** 2) return point(p, best[1], best[2]);
        return say(p, `${axis(p.xlabel, "x", at[0])}, ${axis(p.ylabel, "y", at[1])}`, null);
      }
      return say({}, "", null);
    });
    svg.addEventListener("pointerleave", () => say({}, "", null));
    svg.addEventListener("pointerdown", (event) => {
      if (view[2] >= all[2]) return;
      held = position(event);
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener("pointerup", () => (held = null));
    svg.addEventListener("pointercancel", () => (held = null));
    svg.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      zoom(event.deltaY < 0 ? 0.8 : 1.25, ...position(event));
    }, { passive: false });
    const known = panels.filter((p) => p.lines.length || p.images.length);
    let at = [0, 0, -1];
    const tell = () => {
      const p = known[at[0]];
      if (p.images.length) {
        const [rows, columns] = p.images[0].shape;
        at = [at[0], clamp(at[1], 0, rows - 1), clamp(at[2], 0, columns - 1)];
        return cell(p, p.images[0], at[1], at[2]);
      }
      const line = p.lines[(at[1] = (at[1] + p.lines.length) % p.lines.length)];
      at[2] = clamp(at[2], 0, line.x.length - 1);
      return point(p, line, at[2]);
    };
    box.addEventListener("keydown", (event) => {
      const { key } = event;
      const steps = { ArrowRight: [0, 0, 1], ArrowLeft: [0, 0, -1], ArrowDown: [0, 1, 0], ArrowUp: [0, -1, 0] };
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (key === "+" || key === "=") actions["+"]();
      else if (key === "-") actions["−"]();
      else if (key === "0") actions["1:1"]();
      else if (key === "n" && known.length) {
        at = [(at[0] + 1) % known.length, 0, 0];
        tell();
      } else if (steps[key] && known.length && event.target === box) {
        at = at.map((v, k) => v + steps[key][k]);
        tell();
      } else return;
      event.preventDefault();
    });
  };
  document.querySelectorAll("figure.plot").forEach(figure);

  // samples: one at a time, by buttons or arrow keys
  const path = (x, y, sx, sy) => {
    let [text, pen] = ["", "M"];
    for (let k = 0; k < x.length; k++) {
      if (y[k] === null) { pen = "M"; continue; }
      text += `${pen}${sx(x[k]).toFixed(1)} ${sy(y[k]).toFixed(1)}`;
      pen = "L";
    }
    return text;
  };
  const panel = (given) => {
    const [width, height, left, low] = [360, 210, 46, 34];
    const ys = given.lines.flatMap((line) => line.y).filter((v) => v !== null);
    let [bottom, top] = ys.length ? [Math.min(...ys), Math.max(...ys)] : [0, 1];
    if (bottom === top) [bottom, top] = [bottom - 1, top + 1];
    const x = given.x;
    const sx = (v) => left + ((v - x[0]) / (x[x.length - 1] - x[0] || 1)) * (width - left - 8);
    const sy = (v) => height - low - ((v - bottom) / (top - bottom)) * (height - low - 10);
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${given.title}: ${given.ylabel} over ${given.xlabel}` });
    for (const v of [bottom, (bottom + top) / 2, top])
      svg.append(make("line", { x1: left, x2: width - 8, y1: sy(v), y2: sy(v), stroke: "var(--grid)" }),
        make("text", { x: left - 4, y: sy(v) + 4, "text-anchor": "end" }, String(Number(v.toPrecision(3)))));
    for (const v of [x[0], x[x.length - 1]])
      svg.append(make("text", { x: sx(v), y: height - 18, "text-anchor": v === x[0] ? "start" : "end" }, short(v)));
    svg.append(make("text", { x: width / 2, y: height - 4, "text-anchor": "middle" }, given.xlabel));
    for (const line of given.lines) {
      if (line.dots) for (let k = 0; k < line.y.length; k++)
        svg.append(make("circle", { cx: sx(line.x[k]), cy: sy(line.y[k]), r: 1.4, fill: "var(--ink)" }));
      else svg.append(make("path", { d: path(x, line.y, sx, sy), fill: "none", stroke: `var(--${line.strong ? "accent" : line.dashed ? "second" : "muted"})`,
        "stroke-width": line.strong ? 2.2 : line.dashed ? 1.6 : 0.8, "stroke-dasharray": line.dashed ? "5 3" : "none" }));
    }
    const told = make("output", {});
    const rule = make("line", { y1: 10, y2: height - low, stroke: "var(--second)", "stroke-dasharray": "3 3" });
    rule.style.display = "none";
    svg.append(rule);
    svg.addEventListener("pointermove", (event) => {
      const rect = svg.getBoundingClientRect();
      const [px, py] = [((event.clientX - rect.left) / rect.width) * width, ((event.clientY - rect.top) / rect.height) * height];
      const k = clamp(Math.round(((px - left) / (width - left - 8)) * (x.length - 1)), 0, x.length - 1);
      let best = [Infinity, null];
      for (const line of given.lines) if (!line.dots && Math.abs(sy(line.y[k]) - py) < best[0]) best = [Math.abs(sy(line.y[k]) - py), line];
      rule.style.display = "";
      rule.setAttribute("x1", sx(x[k]));
      rule.setAttribute("x2", sx(x[k]));
      told.textContent = `${given.xlabel} ${short(x[k])}` + (best[1] ? `, ${best[1].label} ${short(best[1].y[k])}` : "");
    });
    svg.addEventListener("pointerleave", () => { rule.style.display = "none"; told.textContent = ""; });
    return make("figure", {}, make("b", {}, given.title), make("div", { class: "note" }, given.ylabel), svg, make("div", { class: "bar" }, told));
  };
  const picture = (image) => {
    const values = image.flat();
    const most = Math.max(...values, 1);
    const canvas = make("canvas", { width: image[0].length, height: image.length, role: "img", "aria-label": "the input" });
    const paint = canvas.getContext("2d");
    image.forEach((row, y) => row.forEach((v, x) => {
      const grey = Math.round(255 * (1 - v / most));
      paint.fillStyle = `rgb(${grey},${grey},${grey})`;
      paint.fillRect(x, y, 1, 1);
    }));
    return make("figure", {}, make("b", {}, "input"), make("div", {}, canvas));
  };
  for (const box of document.querySelectorAll(".browser")) {
    const samples = data(box.querySelector("script"));
    const [title, shown] = [make("output", { "aria-live": "polite" }), make("div", { class: "samples" })];
    let at = 0;
    const go = (by) => {
      at = (at + by + samples.length) % samples.length;
      const one = samples[at];
      title.textContent = `${at + 1} of ${samples.length}: ${one.title}`;
      shown.replaceChildren(...(one.image ? [picture(one.image)] : []), ...one.panels.map(panel));
    };
    const button = (text, name, by) => {
      const one = make("button", { type: "button", "aria-label": name }, text);
      one.addEventListener("click", () => go(by));
      return one;
    };
    box.prepend(make("div", { class: "bar" }, button("←", "previous sample", -1), button("→", "next sample", 1), title), shown);
    box.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") go(-1);
      else if (event.key === "ArrowRight") go(1);
      else return;
      event.preventDefault();
    });
    go(0);
  }

  // a link to what is folded opens it
  const open = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target) for (let one = target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
  };
  addEventListener("hashchange", open);
  open();
})();
