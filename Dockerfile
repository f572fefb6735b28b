# gradwire with Horovod, MPI and torch, built by the same script that README's first command runs.
#
#   docker build -t gradwire .
#   docker run --rm -it gradwire                                        # a shell, environment active
#   docker run --rm gradwire scripts/quickstart.sh                      # the training run
#
# With CUDA torch, on a machine with the NVIDIA container toolkit:
#
#   docker build -t gradwire-cuda --build-arg BASE_IMAGE=nvidia/cuda:13.0.1-devel-ubuntu24.04 \
#     --build-arg HOROVOD_GPU_OPERATIONS=NCCL --build-arg GRADWIRE_WITH_CUDA=1 .
#
# THIS IMAGE HAS NOT BEEN BUILT YET: there was no Docker engine where it was written. What was checked instead: the
# script in its RUN line sets a fresh Debian 12 with the same packages up from nothing, and the tests pass there.
# Whoever builds it first: please correct this comment.

ARG BASE_IMAGE=debian:12-slim
FROM ${BASE_IMAGE}

# What pip is asked for. On a machine without GPU, the index of PyTorch's CPU builds saves the CUDA libraries:
# --build-arg GRADWIRE_TORCH_INDEX=ADDRESS
ARG GRADWIRE_TORCH=torch==2.13.0
ARG GRADWIRE_TORCH_INDEX=
# NCCL or MPI: Horovod with operations on GPUs, for a CUDA base image
ARG HOROVOD_GPU_OPERATIONS=
# 1: with gradwire's CUDA kernels, for a CUDA base image with nvcc, and for which GPUs
ARG GRADWIRE_WITH_CUDA=0
ARG CUDAARCHS="75-real;80-real;86-real;89-real;90-real;100-real;120"
# wheel: Open MPI from its wheel; system: the base image's MPI (add its packages below)
ARG GRADWIRE_MPI=wheel

RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        ca-certificates g++ make python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*

# mpirun refuses to run as root, and nothing here needs root.
RUN useradd --create-home gradwire
USER gradwire
WORKDIR /home/gradwire/gradwire
COPY --chown=gradwire . .

# No GPU is visible while an image is built, so the choices are made by the arguments above. The wheel of Horovod is
# installed by then and pip's downloads are not needed again.
RUN GRADWIRE_TORCH="${GRADWIRE_TORCH}" GRADWIRE_TORCH_INDEX="${GRADWIRE_TORCH_INDEX}" GRADWIRE_MPI="${GRADWIRE_MPI}" \
    HOROVOD_GPU_OPERATIONS="${HOROVOD_GPU_OPERATIONS}" GRADWIRE_WITH_CUDA="${GRADWIRE_WITH_CUDA}" \
    CUDAARCHS="${CUDAARCHS}" scripts/quickstart.sh --no-train \
    && rm -rf "${HOME:?}/.cache"

# The scripts compare these with what was installed, so they stay set.
ENV GRADWIRE_TORCH=${GRADWIRE_TORCH} GRADWIRE_TORCH_INDEX=${GRADWIRE_TORCH_INDEX} GRADWIRE_MPI=${GRADWIRE_MPI} \
    HOROVOD_GPU_OPERATIONS=${HOROVOD_GPU_OPERATIONS} GRADWIRE_WITH_CUDA=${GRADWIRE_WITH_CUDA} CUDAARCHS=${CUDAARCHS} \
    VIRTUAL_ENV=/home/gradwire/gradwire/.venv PATH=/home/gradwire/gradwire/.venv/bin:${PATH} OMP_NUM_THREADS=1
CMD ["bash"]

RUN python -m gradwire info
