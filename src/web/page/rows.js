// Rows of a file with one article per line.

const isFilled = (text) => typeof text === "string" && text.trim() !== "";
const beginsWithMarkup = (text) => /^\s*</.test(text);

// The object of a JSON text; null if it is not one.
export function parseObject(line) {
  try {
    const row = JSON.parse(line);
    return typeof row === "object" && !Array.isArray(row) ? row : null;
  } catch {
    return null;
  }
}

// The id for corrections of a row: its own or, if absent, its place. `answered` is the id of its answer: the row's own as written
// or, without one, the number of the line within its batch.
export function idOf(row, answered, number, place) {
  if (answered !== String(number)) return answered;
  const own = [row?.id, row?.guid, row?.article_id].find((id) => isFilled(id) || typeof id === "number");
  return String(own ?? place);
}

// Whether an error is one of the article itself: sending it again would fail again.
export const isOfArticle = (code) => ["INVALID_ARGUMENT", "INTERNAL", "RESOURCE_EXHAUSTED"].includes(code);

// The article of a row or of a ninjs item, to show it and to record it with a correction. It follows the server, whose offsets
// of evidence are those of its texts: src/formats/row.rs and src/formats/ninjs/article.rs.
export function articleOf(row) {
  const field = (names) => Object.entries(row).find(([name, text]) => names.test(name) && isFilled(text));
  const first = (...names) => names.map((name) => row[name]).find(isFilled);
  const plain = (text) => text && { text, isHtml: false };
  const ofField = ([name, text]) => ({ text, isHtml: /html|nitf|xml|rich/.test(name) || beginsWithMarkup(text) });

  const headline = bestPart(row.headlines) ?? plain(first("headline", "headline_main", "title"));
  const body =
    bestPart(row.bodies) ??
    bestPart(row.descriptions) ??
    plain(first("body", "text", "content", "article", "body_text", "body_plain")) ??
    ofField(field(/^body_/) ?? field(/^description_/) ?? ["", ""]);
  const isHtml = row.format ? /^html$/i.test(row.format) : body.isHtml;
  // The headline has the format of the body.
  const isEscaped = isHtml && !row.format && headline && !headline.isHtml;
  return {
    headline: isEscaped ? headline.text.replaceAll("&", "&amp;").replaceAll("<", "&lt;") : headline?.text ?? "",
    body: body.text,
    format: isHtml ? "html" : "text",
    dateline: row.dateline ?? row.located,
    language: row.language,
    source_country: row.source_country,
  };
}

// The best headline or body of a list of ninjs 2.x and 3.x: the main one first, credits and short versions last, and plain text
// before markup.
function bestPart(list) {
  const rank = ({ role }) => (role === "main" ? 0 : ["creditline", "byline", "short", "slug"].includes(role) ? 2 : 1);
  const isMarkup = ({ contenttype, contentType, value }) => {
    const type = contenttype || contentType;
    return type ? !/^\s*text\/plain/i.test(type) : beginsWithMarkup(value);
  };
  const parts = [list].flat().filter((part) => isFilled(part?.value));
  const texts = parts.map((part) => ({ text: part.value, isHtml: isMarkup(part), rank: rank(part) }));
  return texts.sort((a, b) => a.rank - b.rank || a.isHtml - b.isHtml)[0];
}

// The least certain articles first, topics by turns: many that are alike teach little more than one of them.
export function byTurns(entries) {
  const confidence = ({ best }) => best?.confidence ?? 0;
  const groups = Map.groupBy ? Map.groupBy(entries, ({ best }) => best?.code) : new Map([["", entries]]);
  const ranked = [...groups.values()].flatMap((group) =>
    group.sort((a, b) => confidence(a) - confidence(b)).map((entry, turn) => ({ entry, turn })),
  );
  return ranked.sort((a, b) => a.turn - b.turn || confidence(a.entry) - confidence(b.entry)).map(({ entry }) => entry);
}
