"""What several tests of recipes begin with: scenes, and folders of trainings in which nothing has learned anything yet."""

import numpy as np

from flowmm.zoo import world


def scenes(n, seed=0, two=0.5):
    """n scenes, and the generator that drew them."""
    rng = np.random.default_rng(seed)
    return [world.random_scene(rng, two=two) for _ in range(n)], rng


def before_janus(out):
    """The code book, the VQGAN and DALL-E 1 in a folder of trainings."""
    from flowmm.zoo.recipes import dalle1, tokens, training, vq, vqgan

    vq.build().save_pretrained(out / "vq")
    dalle1.build(len(tokens.build())).save_pretrained(out / "dalle1" / "transformer")
    training.write_card(out / "dalle1", about="untrained")
    book = vqgan.build()
    book.quantize.embedding.weight.copy_(vqgan.lifted(vqgan.small_book(out).quantize.embedding.weight))
    training.ship(book, out / "vqgan")
