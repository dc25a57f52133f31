"""What a person would complain of when looking at a page, measured in the browser."""

from typing import Any

#: Of every text in a figure: what it says, the corners of its box as it is drawn, turned or not, its color and size.
_TEXTS = """
const texts = svg => [...svg.querySelectorAll('text')].filter(text => text.textContent.trim()).map(text => {
    const box = text.getBBox(), matrix = text.getScreenCTM();
    const corners = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([a, b]) => {
        const point = new DOMPoint(box.x + a * box.width, box.y + b * box.height).matrixTransform(matrix);
        return [point.x, point.y];
    });
    return {element: text, says: text.textContent.trim(), corners};
});
"""

#: Names, and what is measured of the page.
_MEASURES = {
    "wider than the window": """() => {
        const page = document.documentElement;
        return page.scrollWidth > page.clientWidth ? [`${page.scrollWidth} px of ${page.clientWidth}`] : [];
    }""",
    "text outside of its figure": f"""() => {{{_TEXTS}
        return [...document.querySelectorAll('figure svg')].flatMap(svg => {{
            const frame = svg.getBoundingClientRect();
            return texts(svg).filter(({{corners}}) => corners.some(([x, y]) =>
                x < frame.left - 1 || x > frame.right + 1 || y < frame.top - 1 || y > frame.bottom + 1
            )).map(({{says}}) => says);
        }});
    }}""",
    "shape outside of its figure": """() => [...document.querySelectorAll('figure svg')].flatMap(svg => {
        const frame = svg.getBoundingClientRect();
        return [...svg.querySelectorAll('path, rect, line, circle, ellipse, polygon, image')]
            .filter(shape => !shape.closest('defs, clipPath, [clip-path]'))
            .map(shape => [shape, shape.getBoundingClientRect()])
            .filter(([_, box]) => box.left < frame.left - 2 || box.right > frame.right + 2
                || box.top < frame.top - 2 || box.bottom > frame.bottom + 2)
            .map(([shape]) => `${svg.querySelector('title').textContent}: ${shape.outerHTML.slice(0, 80)}`);
    })""",
    # Boxes are a little larger than what is drawn in them: a quarter of each is taken off, by the axes that separate.
    "texts over each other": f"""() => {{{_TEXTS}
        const shrunk = corners => {{
            const [cx, cy] = [0, 1].map(k => corners.reduce((sum, corner) => sum + corner[k], 0) / 4);
            return corners.map(([x, y]) => [cx + .75 * (x - cx), cy + .75 * (y - cy)]);
        }};
        const apart = (one, other) => [one, other].some(box => [0, 1].some(k => {{
            const along = [box[k + 1][0] - box[k][0], box[k + 1][1] - box[k][1]];
            const ends = [one, other].map(corners => {{
                const at = corners.map(([x, y]) => x * along[0] + y * along[1]);
                return [Math.min(...at), Math.max(...at)];
            }});
            return ends[0][1] <= ends[1][0] || ends[1][1] <= ends[0][0];
        }}));
        return [...document.querySelectorAll('figure svg')].flatMap(svg => {{
            const all = texts(svg).map(text => ({{says: text.says, corners: shrunk(text.corners)}}));
            return all.flatMap((one, k) => all.slice(k + 1).filter(other => !apart(one.corners, other.corners))
                .map(other => `${{one.says}} / ${{other.says}}`));
        }});
    }}""",
    "text too small to read": f"""() => {{{_TEXTS}
        return [...document.querySelectorAll('figure svg')].flatMap(svg => {{
            const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
            return texts(svg).map(({{element, says}}) => [scale * parseFloat(getComputedStyle(element).fontSize), says])
                .filter(([size]) => size < 8).map(([size, says]) => `${{says}}: ${{size.toFixed(1)}} px`);
        }});
    }}""",
    # By WCAG 2.1, 1.4.3: 4.5 to 1; against the last shape that is painted beneath the middle of the text.
    "text of too little contrast in a figure": f"""() => {{{_TEXTS}
        const painter = document.createElement('canvas').getContext('2d', {{willReadFrequently: true}});
        const rgb = color => {{
            painter.clearRect(0, 0, 1, 1);
            painter.fillStyle = color;
            painter.fillRect(0, 0, 1, 1);
            return [...painter.getImageData(0, 0, 1, 1).data];
        }};
        const over = (top, alpha, under) => [0, 1, 2].map(k => alpha * top[k] + (1 - alpha) * under[k]);
        const luminance = color => {{
            const linear = color.slice(0, 3).map(value => value / 255)
                .map(value => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4);
            return .2126 * linear[0] + .7152 * linear[1] + .0722 * linear[2];
        }};
        const paper = rgb(getComputedStyle(document.body).backgroundColor);
        return [...document.querySelectorAll('figure svg')].flatMap(svg => {{
            const shapes = [...svg.querySelectorAll('path, rect, text, image')]
                .filter(shape => !shape.closest('defs, clipPath'));
            const boxes = new Map(shapes.map(shape => [shape, shape.getBoundingClientRect()]));
            return texts(svg).flatMap(({{element, says, corners}}) => {{
                const [x, y] = [0, 1].map(k => corners.reduce((sum, corner) => sum + corner[k], 0) / 4);
                let beneath = paper, onPicture = false;
                for (const shape of shapes.slice(0, shapes.indexOf(element))) {{
                    const box = boxes.get(shape), style = getComputedStyle(shape);
                    const inside = box.left <= x && x <= box.right && box.top <= y && y <= box.bottom;
                    onPicture ||= inside && shape.tagName === 'image';  // which has colors of its own
                    if (shape.tagName === 'text' || !inside || style.fill === 'none' || box.height < 8) continue;
                    const color = rgb(style.fill);
                    beneath = over(color, color[3] / 255 * style.fillOpacity * style.opacity, beneath);
                }}
                const style = getComputedStyle(element);
                const color = over(rgb(style.fill), style.fillOpacity * style.opacity, beneath);
                const light = [luminance(color), luminance(beneath)].sort((a, b) => b - a);
                const contrast = (light[0] + .05) / (light[1] + .05);
                return contrast < 4.5 && !onPicture ? [`${{says}}: ${{contrast.toFixed(1)}}`] : [];
            }});
        }});
    }}""",
}

#: Elements and attributes that could run or load something.
_ACTIVE = """() => {
    const found = [...document.querySelectorAll(
        'script, iframe, frame, object, embed, applet, form, base, link, portal, foreignObject, animate, set, ' +
        'audio, video, img, image, meta[http-equiv=refresh i]'
    )].filter(element => !(element.getAttribute('src') ?? element.getAttribute('href') ?? '').startsWith('data:image/'))
        .map(element => element.outerHTML.slice(0, 100));
    for (const element of document.querySelectorAll('*')) for (const {name, value} of element.attributes) {
        const address = ['href', 'xlink:href', 'src', 'action', 'formaction', 'srcdoc', 'ping'].includes(name);
        const harmless = value.startsWith('#') || value.startsWith('https://') || value.startsWith('data:image/');
        const outside = /url\\((?!["']?#)/i.test(value) && ['style', 'fill', 'stroke', 'clip-path'].includes(name);
        if (name.startsWith('on') || (address && !harmless) || outside) found.push(`${name}=${value.slice(0, 100)}`);
    }
    return found;
}"""


def complaints(page: Any) -> dict[str, list[str]]:
    """What is wrong with how a page looks, by kind."""
    found = {name: page.evaluate(measure) for name, measure in _MEASURES.items()}
    return {name: each for name, each in found.items() if each}


def active_parts(page: Any) -> list[str]:
    """Elements and attributes that could run or load something."""
    return list(page.evaluate(_ACTIVE))
