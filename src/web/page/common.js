// Elements, messages and requests.

import { parseObject } from "./rows.js";

export const $ = (id) => document.getElementById(id);

// A new element: its attributes, then its children. Functions are handlers of events.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== false && value != null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

export function say(message, isError = false) {
  $("status").textContent = isError ? "" : message;
  $("error").textContent = isError ? message : "";
}

export const percent = (share) => (share > 0.9995 && share < 1 ? "> 99.9 %" : `${(100 * share).toFixed(share > 0.995 && share < 1 ? 1 : 0)} %`);
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

let asking = null;

// Asks for a token, once for all requests that wait for it; empty if the user cancels.
function askForToken(reason) {
  asking ??= new Promise((resolve) => {
    const dialog = $("token-dialog");
    $("token-error").textContent = reason;
    $("token").value = "";
    // Only the button sets it: Esc closes the dialog too.
    dialog.returnValue = "";
    dialog.showModal();
    dialog.addEventListener("close", () => {
      asking = null;
      resolve(dialog.returnValue && $("token").value.trim());
    }, { once: true });
  });
  return asking;
}

// Sends a request to the server, and returns the text of its answer, which has the status 200. Otherwise throws an error with the
// server's message and code, and with the status: 401 if the user gave no token.
export async function request(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem("token");
    const headers = { ...options.headers, ...(token && { authorization: `Bearer ${token}` }) };
    let response, text;
    try {
      response = await fetch(path, { ...options, headers });
      text = await response.text();
    } catch {
      throw new Error("The server cannot be reached. Is it running?");
    }
    if (response.ok) return text;
    const fault = parseObject(text)?.error;
    const message = fault?.message ?? `The server answered with the status ${response.status}.`;
    const given = response.status === 401 && (await askForToken(token ? message : ""));
    if (!given) throw Object.assign(new Error(message), { status: response.status, code: fault?.code });
    sessionStorage.setItem("token", given);
  }
}

export const post = (path, body, type = "application/json") =>
  request(path, { method: "POST", headers: { "content-type": type }, body });

// Does some work, and shows why it failed if it does.
export async function attempt(work) {
  try {
    await work();
  } catch (error) {
    say(capital(error.message), true);
  }
}
