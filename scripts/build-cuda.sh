#!/usr/bin/env bash
# Builds target/release/merge-search with CUDA; needs no GPU and no CUDA installation, only python3 with pip and a C++ compiler.
#
#   scripts/build-cuda.sh [COMPUTE_CAPABILITY]
#
# The capability is the oldest GPU generation that the program runs on: 80 (the default) is A100 and later; 90 H100 and
# H200 only. NVIDIA's compiler comes from PyPI (400 MB under target/cuda). candle links CUDA's libraries in such a way that
# the program would not start without them; a copy of candle-core under target/cuda, one word changed, loads them on demand.
# On the machine with the GPU: driver 580 or later, and libcublas.so.13, libcublasLt and libcurand.so.10 in LD_LIBRARY_PATH.
set -euo pipefail
cd "$(dirname "$0")/.."

build=$PWD/target/cuda
toolkit=$build/toolkit/nvidia/cu13
if [ ! -x "$toolkit/bin/nvcc" ]; then
    mkdir -p "$build/wheels" "$build/toolkit"
    python3 -m pip download --quiet --no-deps --dest "$build/wheels" 'nvidia-cuda-nvcc==13.0.*' 'nvidia-nvvm==13.0.*' \
        'nvidia-cuda-crt==13.0.*' 'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-cccl==13.0.*' 'nvidia-curand==10.4.0.*'
    for wheel in "$build"/wheels/*.whl; do
        python3 -m zipfile -e "$wheel" "$build/toolkit"
    done
    chmod +x "$toolkit"/bin/* "$toolkit"/nvvm/bin/*
fi
# candle looks for lib64, and links libcudart by its short name; the static one leaves nothing to find at run time.
ln -sfn lib "$toolkit/lib64"
mkdir -p "$build/link"
ln -sfn "$toolkit/lib/libcudart_static.a" "$build/link/libcudart.a"

cargo fetch --locked
version=$(grep -A1 '^name = "candle-core"$' Cargo.lock | sed -n 's/^version = "\(.*\)"$/\1/p')
source=$(echo "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/candle-core-"$version")
rm -rf "$build/candle-core"
cp -r "$source" "$build/candle-core"
grep -q '"dynamic-linking"' "$build/candle-core/Cargo.toml"
sed -i 's/"dynamic-linking"/"dynamic-loading"/' "$build/candle-core/Cargo.toml"

# The lock file would name the copy.
cp Cargo.lock "$build/Cargo.lock"
trap 'cp "$build/Cargo.lock" Cargo.lock' EXIT
export CUDA_HOME=$toolkit CUDA_PATH=$toolkit PATH=$toolkit/bin:$PATH
export CUDA_COMPUTE_CAP=${1:-80} LIBRARY_PATH=$build/link${LIBRARY_PATH:+:$LIBRARY_PATH}
cargo build --release --features cuda --config "patch.crates-io.candle-core.path=\"$build/candle-core\""
