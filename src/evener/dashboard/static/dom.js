// Makes elements and puts text into them: the only way by which anything gets onto the page.

const ESCAPES = /\u001b\[[0-9;?]*[ -/]*[@-~]/g; // colours and cursor moves of terminals
// Control characters, and those that turn the direction of what follows: both can disguise a text.
const DISGUISES =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** A text from elsewhere with nothing in it that is not seen. */
export function visible(text) {
  const plain = String(text ?? "").replace(ESCAPES, "").replace(/\r\n?/g, "\n");
  return plain.replace(DISGUISES, "\ufffd");
}

/** A new element. Strings become text, never markup; handlers and styles are no attributes. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (/^(on|style$)/i.test(name)) throw new Error(`${name} is not set as an attribute`);
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, String(value));
  }
  for (const child of children) {
    if (child != null) node.append(child instanceof Node ? child : visible(child));
  }
  return node;
}

/** Shows `text` in `node`, touching the page only where it changed. */
export function put(node, text) {
  const shown = visible(text);
  const first = node.firstChild;
  if (first !== null && first === node.lastChild && first.nodeType === Node.TEXT_NODE) {
    if (first.nodeValue !== shown) first.nodeValue = shown;
  } else {
    node.textContent = shown;
  }
}

/** Sets an attribute, touching the page only where it changed; null takes it away. */
export function mark(node, name, value) {
  if (value == null) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, String(value));
  }
}

export function button(text, press, attributes = {}) {
  const node = el("button", { type: "button", ...attributes }, text);
  node.addEventListener("click", press);
  return node;
}

/** The element with this id, which the page's own HTML has. */
export function byId(id) {
  const node = document.getElementById(id);
  if (node === null) throw new Error(`the page has no #${id}`);
  return node;
}
