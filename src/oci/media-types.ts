/** The media types that the client knows by name. */
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
export const OCI_EMPTY = "application/vnd.oci.empty.v1+json";
export const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";
export const OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
export const OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";

export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
export const DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip";
export const DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd";

/** CNCF Wasm OCI artifact layout v0. */
export const CNCF_CONFIG = "application/vnd.wasm.config.v0+json";
export const CNCF_WASM = "application/wasm";

/** Wasm artifact image specification of Solo.io ("oci" variant). */
export const SOLO_CONFIG = "application/vnd.module.wasm.config.v1+json";
export const SOLO_WASM = "application/vnd.module.wasm.content.layer.v1+wasm";

/** wasm-to-oci, `cosign upload wasm`, Kubewarden. */
export const CONTENT_CONFIG = "application/vnd.wasm.config.v1+json";
export const CONTENT_WASM = "application/vnd.wasm.content.layer.v1+wasm";

/** What a file's name is in an image that the ORAS CLI wrote or is to unpack. */
export const TITLE_ANNOTATION = "org.opencontainers.image.title";
export const CREATED_ANNOTATION = "org.opencontainers.image.created";
/** Our own: a module's root ids as a JSON array, for layouts that have no place for them. */
export const ROOT_IDS_ANNOTATION = "wasmount.dev/root-ids";

export const IMAGE_TYPES: readonly string[] = [OCI_MANIFEST, DOCKER_MANIFEST];
export const INDEX_TYPES: readonly string[] = [OCI_INDEX, DOCKER_LIST];
