import { answerJson, type Exchange, Refusal } from "./answer.ts";
import { checkDigest, digestLike, type Repository } from "./content.ts";
import { documentOf } from "./manifests.ts";

const OCI_INDEX = "application/vnd.oci.image.index.v1+json";

/** GET /v2/<name>/tags/list with n and last. */
export function listTags(exchange: Exchange, repository: Repository, name: string): void {
  if (exchange.method !== "GET") throw new Refusal("UNSUPPORTED", "tags are listed with GET");
  const last = exchange.query.get("last");
  const n = exchange.query.get("n");
  // Code points, as the specification's "lexical order" means: not any locale's.
  const all = [...repository.tags.keys()].sort().filter(tag => last === null || tag > last);
  const tags = n === null ? all : all.slice(0, Number(n));
  const more = tags.length < all.length && tags.length > 0;
  const next = `</v2/${name}/tags/list?n=${n}&last=${encodeURIComponent(tags.at(-1) ?? "")}>; rel="next"`;
  answerJson(exchange, 200, { name, tags }, more ? { link: next } : {});
}

/** GET /v2/<name>/referrers/<digest>, filtered by artifactType where asked, page by page where it has pages. */
export function listReferrers(exchange: Exchange, repository: Repository, name: string, subject: string): void {
  if (exchange.method !== "GET") throw new Refusal("UNSUPPORTED", "referrers are listed with GET");
  checkDigest(subject);
  const wanted = exchange.query.get("artifactType");
  const all = [...repository.manifests]
    .filter(([, { bytes }]) => documentOf(bytes).subject?.digest === subject)
    .map(([digest, { bytes, mediaType }]) => referrer(digest, bytes, mediaType))
    .filter(({ artifactType }) => wanted === null || artifactType === wanted);
  const from = Number(exchange.query.get("from") ?? 0);
  const next = from + repository.habits.referrersPage;
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: all.slice(from, next) };
  const rest = new URLSearchParams({ ...(wanted === null ? {} : { artifactType: wanted }), from: String(next) });
  answerJson(exchange, 200, index, {
    "content-type": OCI_INDEX,
    ...(wanted === null ? {} : { "oci-filters-applied": "artifactType" }),
    ...(next < all.length ? { link: `</v2/${name}/referrers/${subject}?${rest}>; rel="next"` } : {}),
  });
}

function referrer(digest: string, bytes: Buffer, mediaType: string) {
  const { artifactType, annotations, config } = JSON.parse(bytes.toString("utf8"));
  return {
    mediaType,
    digest: digestLike(digest, bytes),
    size: bytes.length,
    // distribution-spec: an image without artifactType is listed by its config's media type.
    artifactType: artifactType ?? config?.mediaType,
    ...(annotations ? { annotations } : {}),
  };
}
