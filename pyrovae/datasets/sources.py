"""Where every data set comes from: homepage, licence, citation, files and their checksums."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class RemoteFile(NamedTuple):
    """A file on the web.

    ``checksum`` is ``"sha256:…"`` or ``"md5:…"`` as published by someone who verified it (the
    comments below say who), ``None`` where nobody trustworthy did: such a file is never downloaded.
    """

    url: str
    checksum: str | None


@dataclass(frozen=True)
class Source:
    """What a user must know before using a data set.

    Attributes
    ----------
    homepage, licence, citation
        One line each; a licence that the authors never stated is said to be "not stated".
    files
        File name to address, for data sets that are read from files; empty for the others.
    """

    homepage: str
    licence: str
    citation: str
    files: dict[str, RemoteFile] = field(default_factory=dict)


def _folder(url: str, checksums: dict[str, str | None]) -> dict[str, RemoteFile]:
    return {name: RemoteFile(f"{url}/{name}", checksum) for name, checksum in checksums.items()}


#: By the data set's registry name.
SOURCES: dict[str, Source] = {
    "sprites": Source(
        homepage="https://github.com/google-deepmind/dsprites-dataset",
        licence="MIT (drawn by pyrovae; the factor grid is dSprites')",
        citation="Matthey, Higgins, Hassabis, Lerchner: dSprites (2017)",
    ),
    "grammar": Source(
        homepage="https://github.com/google-deepmind/dsprites-dataset",
        licence="MIT (written by pyrovae; factors on a grid as in dSprites)",
        citation="Matthey, Higgins, Hassabis, Lerchner: dSprites (2017)",
    ),
    "linear_gaussian": Source(
        homepage="https://doi.org/10.1111/1467-9868.00196",
        licence="MIT (simulated by pyrovae)",
        citation="Tipping, Bishop: Probabilistic principal component analysis (JRSS B, 1999)",
    ),
    "digits": Source(
        homepage="https://archive.ics.uci.edu/dataset/80",
        licence="CC BY 4.0",
        citation="Alpaydin, Kaynak: Optical recognition of handwritten digits (UCI, 1998)",
    ),
    "mnist": Source(
        homepage="http://yann.lecun.com/exdb/mnist/",
        licence="CC BY-SA 3.0",
        citation="LeCun, Bottou, Bengio, Haffner: Gradient-based learning (Proc. IEEE, 1998)",
        # md5 from torchvision.datasets.MNIST.
        files=_folder(
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            {
                "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
                "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
                "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
            },
        ),
    ),
    "fashion_mnist": Source(
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        licence="MIT",
        citation="Xiao, Rasul, Vollgraf: Fashion-MNIST (arXiv:1708.07747, 2017)",
        # sha256 from tensorflow_datasets/url_checksums/fashion_mnist.txt, md5 from torchvision.
        files=_folder(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            {
                "train-images-idx3-ubyte.gz": "sha256:"
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "t10k-images-idx3-ubyte.gz": "sha256:"
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
                "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
            },
        ),
    ),
    "freyfaces": Source(
        homepage="https://cs.nyu.edu/~roweis/data.html",
        licence="not stated",
        citation="Roweis, Saul: Nonlinear dimensionality reduction by LLE (Science, 2000)",
        # No checksum has been published by a maintained project.
        files=_folder("https://cs.nyu.edu/~roweis/data", {"frey_rawface.mat": None}),
    ),
    "dsprites": Source(
        homepage="https://github.com/google-deepmind/dsprites-dataset",
        licence="Apache-2.0",
        citation="Matthey, Higgins, Hassabis, Lerchner: dSprites (2017)",
        # md5 as verified by several independent loaders (latte-music/latte, vaetc and others).
        files=_folder(
            "https://github.com/google-deepmind/dsprites-dataset/raw/master",
            {
                "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz": "md5:"
                "7da33b31b13a06f4b04a70402ce90c2e"
            },
        ),
    ),
    "shapes3d": Source(
        homepage="https://github.com/google-deepmind/3d-shapes",
        licence="Apache-2.0",
        citation="Burgess, Kim: 3D shapes dataset (2018)",
        # sha256 from tensorflow_datasets/url_checksums/shapes3d.txt.
        files=_folder(
            "https://storage.googleapis.com/3d-shapes",
            {
                "3dshapes.h5": "sha256:"
                "0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785"
            },
        ),
    ),
    "cars3d": Source(
        homepage="https://papers.nips.cc/paper/5845-deep-visual-analogy-making",
        licence="not stated",
        citation="Reed, Zhang, Zhang, Lee: Deep visual analogy-making (NIPS 2015)",
        # md5 from nmichlo/disent, and the same in latte-music/latte.
        files=_folder(
            "http://www.scottreed.info/files",
            {"nips2015-analogy-data.tar.gz": "md5:4e866a7919c1beedf53964e6f7a23686"},
        ),
    ),
    "smallnorb": Source(
        homepage="https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/",
        licence="for research purposes, cannot be sold",
        citation="LeCun, Huang, Bottou: Methods for generic object recognition (CVPR 2004)",
        # sha256 from tensorflow_datasets/url_checksums/smallnorb.txt.
        files=_folder(
            "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small",
            {
                "smallnorb-5x46789x9x18x6x2x96x96-training-dat.mat.gz": "sha256:"
                "5ffd6272a07d32695ee1082a26a41a93a37aab8c28da047f8c34ed348d214873",
                "smallnorb-5x46789x9x18x6x2x96x96-training-cat.mat.gz": "sha256:"
                "2784e542c1922060691090952b6cd6278879a216c90f81476f0f00256d42cdaa",
                "smallnorb-5x46789x9x18x6x2x96x96-training-info.mat.gz": "sha256:"
                "de7eb932ebe7a4ee16217fead60660d0eb3d23632c2f4d1c51f88c501c17bf32",
                "smallnorb-5x01235x9x18x6x2x96x96-testing-dat.mat.gz": "sha256:"
                "cf7104eed3e51174d2f65b66d1e5878b9da233b886f161b0d88f4510ba2c7474",
                "smallnorb-5x01235x9x18x6x2x96x96-testing-cat.mat.gz": "sha256:"
                "ecaf6d5bb8c3bc5eab9cf0258f6d2198dd474e016e374836fc097f2e5ff509ff",
                "smallnorb-5x01235x9x18x6x2x96x96-testing-info.mat.gz": "sha256:"
                "16adf314226327ee006d1a44db8cfef52773c06c829951d5653a9f6f310248a2",
            },
        ),
    ),
    "mpi3d": Source(
        homepage="https://github.com/rr-learning/disentanglement_dataset",
        licence="CC BY 4.0",
        citation="Gondal et al.: On the transfer of inductive bias (arXiv:1906.03292, 2019)",
        # md5 from nmichlo/disent; that of mpi3d_toy is the same in a second, independent loader.
        files=_folder(
            "https://storage.googleapis.com/disentanglement_dataset/Final_Dataset",
            {
                "mpi3d_toy.npz": "md5:55889cb7c7dfc655d6e0277beee88868",
                "mpi3d_realistic.npz": "md5:59a6225b88b635365f70c91b3e52f70f",
                "mpi3d_real.npz": "md5:0f33f609918fb5c97996692f91129802",
            },
        ),
    ),
}
