# The compendium in a container, from the same pins and hashes as `make env`:
#
#     docker build --tag schnet-qm9 .
#     docker run --rm --publish 127.0.0.1:8888:8888 schnet-qm9     (JupyterLab; it prints the address)
#     docker run --rm schnet-qm9 make book
#
# repo2docker and Binder build it as it is: the user is theirs (NB_USER, NB_UID) and the repository lies in its home.
# Debian 13 has Python 3.13.
FROM debian:13-slim

RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        ca-certificates chromium firefox-esr git hunspell hunspell-ca hunspell-en-gb make munge postgresql python3 \
        python3-venv qpdf slurm-wlm strace \
    && rm -rf /var/lib/apt/lists/*

ARG NB_USER=jovyan
ARG NB_UID=1000
ENV USER=${NB_USER} \
    NB_UID=${NB_UID} \
    HOME=/home/${NB_USER} \
    LANG=C.UTF-8 \
    PIP_NO_CACHE_DIR=1
RUN useradd --create-home --uid ${NB_UID} --shell /bin/bash ${NB_USER}

COPY --chown=${NB_UID} . ${HOME}
WORKDIR ${HOME}
USER ${NB_UID}
RUN make env
# Else each container would compile what it imports anew.
RUN .venv/bin/python -m compileall -q -j 0 .venv/lib >/dev/null || true
ENV PATH=${HOME}/.venv/bin:${PATH}

EXPOSE 8888
CMD ["make", "lab", "ARGS=--no-browser --ip=0.0.0.0"]
