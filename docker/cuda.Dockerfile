# lopt with CUDA and NCCL, for hosts with NVIDIA GPUs and the container toolkit. From the root of the repository:
#   docker build -f docker/cuda.Dockerfile -t lopt-cuda .                          the command, with Open MPI, and nothing else
#   docker build -f docker/cuda.Dockerfile --target develop -t lopt-cuda-develop . sources and tools: scripts/quickstart.sh and scripts/test.sh run there
#   mkdir -p runs && docker run --rm --gpus all --user "$(id -u)" -v "$PWD/runs:/home/lopt/runs" lopt-cuda scripts/launch-mpirun.sh 8 runs/mine --config configs/stage-1.json
#   docker run --rm --gpus all -it lopt-cuda-develop scripts/quickstart.sh
FROM nvidia/cuda:13.0.1-devel-ubuntu24.04 AS tools
WORKDIR /home/lopt
COPY scripts/install-deps.sh scripts/
RUN scripts/install-deps.sh test && rm -rf /var/lib/apt/lists/* && useradd --uid 1001 --home-dir /home/lopt lopt && chown lopt:lopt /home/lopt
USER lopt

FROM tools AS develop
COPY --chown=lopt:lopt . .
CMD ["scripts/quickstart.sh"]

# For any x86-64 processor: the kernels choose their instruction set when they run.
FROM develop AS build
RUN scripts/build.sh build -DLOPT_TESTS=OFF && cmake --install build --prefix /home/lopt/installed

FROM nvidia/cuda:13.0.1-runtime-ubuntu24.04
RUN apt-get update && \
    apt-get install -y --no-install-recommends libjansson4 libxxhash0 zlib1g libgomp1 openmpi-bin openssh-client procps && \
    rm -rf /var/lib/apt/lists/* && useradd --uid 1001 --create-home lopt
COPY --from=build /home/lopt/installed /usr/local
RUN ldconfig
# Docker's list of allowed system calls may lack the one by which Open MPI reads from another process; it then says so with every message.
ENV OMPI_MCA_btl_vader_single_copy_mechanism=none
USER lopt
WORKDIR /home/lopt
COPY --chown=lopt:lopt configs configs
COPY --chown=lopt:lopt weights weights
COPY --chown=lopt:lopt scripts/launch-mpirun.sh scripts/
CMD ["lopt", "--help"]
