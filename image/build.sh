#!/bin/sh
# Builds the image with whichever of docker, podman or buildah there is:
#   BASE=python:3.12-slim TAG=nos-mig:dev ./build.sh
set -eu
cd "$(dirname "$0")/.."
base=${BASE:-python:3.12-slim}
tag=${TAG:-nos-mig:$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)}
for tool in ${TOOL:-docker podman buildah}; do
  command -v "$tool" >/dev/null 2>&1 || continue
  echo "building $tag from $base with $tool"
  # shellcheck disable=SC2086  # BUILD_FLAGS holds several words
  exec "$tool" build ${BUILD_FLAGS:-} --build-arg "BASE=$base" --tag "$tag" --file image/Containerfile .
done
echo "none of docker, podman and buildah is installed; install one (on Debian and Ubuntu: apt-get install buildah)" >&2
exit 1
