#!/usr/bin/env bash
# Everything that has to be measured on a GPU, in phases of some minutes each, for a machine that has Node and the npm package
# `webgpu` and may have nothing else:
#
#   bench/gpu_session.sh bundle              here, where the packages are installed: .cache/*.mjs, to be carried along
#   bench/gpu_session.sh PHASE FOLDER        there: writes FOLDER/*.json and a log, and ends with a short table
#
# PHASE is one of
#   check    every kernel variant against its reference, a ResNet-50 and a ResNet-101 training step by kernel
#   table    the engine and its peers on the convolutions of ResNet-101 and on large products, beside the ceilings
#   train    training steps of PyTorch (fp32, TF32, AMP) and of the engine (f32, mixed), images a second and memory
#   host     CPU time of a dispatch, planned memory with recomputation, loss curves of mixed precision
# or `all`. A step that fails is named at the end, and the others go on.
set -uo pipefail
cd "$(dirname "$0")/.."
benches=(gpu_check bench overhead memory mixed)
phase=${1:?a phase, or bundle}
if [ "$phase" = bundle ]; then
  for bench in "${benches[@]}"; do node scripts/run_bench.mjs "$bench" --bundle-only || exit 1; done
  exit
fi
out=${2:?a folder for the results}
mkdir -p "$out"
failed=()

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

check() {
  step check-resnet50 run gpu_check resnet50 8 336 "$out"
  mkdir -p "$out/resnet101"
  step check-resnet101 run gpu_check resnet101 8 336 "$out/resnet101"
}
table() {
  step large run bench --suite large --rounds 20 --budget 5 --out "$out/large.json"
  step resnet run bench --suite resnet --batch 8 --rounds 20 --budget 3 --out "$out/resnet.json"
  step table run bench --suite table --rounds 20 --budget 3 --out "$out/table.json"
}
train() {
  step pytorch python3 bench/peers/torch_training.py --depth 50 101 --batch 8 --crop 336
  step networks run bench --suite networks --batch 8 --rounds 20 --budget 10 --contenders segsort-webgpu --out "$out/networks.json"
}
host() {
  step overhead run overhead out="$out/overhead.json"
  step memory run memory 8 336 resnet101 f32 "$out/memory.json"
  step mixed run mixed out="$out/mixed.json"
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
