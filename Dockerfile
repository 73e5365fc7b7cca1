# One image for the webhook and the fetcher. docs/image.md says how it is built, pinned and what is in it.
#
# A release overrides all of them by digests, and tests by images made on the spot. BUILD and NODE are the same image, for
# the machine that builds and for the one that the image is for.
ARG BUILD=docker.io/library/node:24.21.0-bookworm-slim
ARG NODE=docker.io/library/node:24.21.0-bookworm-slim
ARG BASE=gcr.io/distroless/cc-debian12:nonroot
ARG BUILDPLATFORM

# JavaScript is the same for every machine: bundled where it is quick, and not under emulation. Compiled code is not, and
# is left out for another machine than the one that builds (build.ts).
FROM --platform=$BUILDPLATFORM ${BUILD} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# What npm has to know of a registry (npmrc) and of the network (ca) comes as secrets, which are in no layer and not in the
# history. Nothing of a package is run.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=secret,id=ca,target=/run/secrets/ca.crt \
    NODE_EXTRA_CA_CERTS=/run/secrets/ca.crt npm ci --ignore-scripts --no-audit --no-fund --prefer-offline
COPY . .
ARG TARGETARCH
# Not `npm run`: that puts the node of the dependencies first, and compiled code is of the image's own.
RUN node build.ts "$TARGETARCH"

# Nothing of it is run.
FROM ${NODE} AS node

FROM ${BASE}
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=build /src/dist /app
COPY --from=build /src/LICENSE /licenses/LICENSE
ENV NODE_ENV=production
WORKDIR /
# A number, so that Kubernetes can tell it from root. Any other will do: all files are everybody's to read.
USER 65532:65532
# The heap's young generation has room for all that a fetch of a module allocates: nothing is collected while a pod waits.
ENTRYPOINT ["node", "--min-semi-space-size=4", "/app/wasmount.mjs"]
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG SOURCE=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="wasmount" \
      org.opencontainers.image.description="Puts verified WebAssembly filters into Envoy sidecars: webhook, fetcher and command line" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.created="$CREATED" \
      org.opencontainers.image.licenses="Apache-2.0"
