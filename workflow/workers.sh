#!/usr/bin/env bash
# Workers that share the runs of the study, as an array of SLURM: `sbatch --array=1-8 workflow/workers.sh [EXPERIMENT] [OPTION …]`,
# with what `python -m analysis run` takes. Each takes the next run that none trains. One that is cancelled, requeued or
# lost costs what it trained since the last finished epoch: SLURM starts it again, or another worker goes on.
#SBATCH --job-name=schnet-qm9
#SBATCH --cpus-per-task=2
#SBATCH --mem=3G
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-$(dirname "$0")/..}"
# As many threads as the book's records have: their number decides how sums are rounded.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}" OPENBLAS_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
exec "${PYTHON:-.venv/bin/python}" -m analysis run "$@"
