"""Analysis straight from compressed files: networks that read decoded latents, and no picture is made."""

from foveal.codecs.learned.frequency.latents import Latents as Latents
from foveal.codecs.learned.frequency.latents import read_latents as read_latents
from foveal.tasks.latent.feature_task import open_head as open_head
from foveal.tasks.latent.folder import LatentFolder as LatentFolder
from foveal.tasks.latent.folder import batch_of as batch_of
from foveal.tasks.latent.running import LatentTask as LatentTask
from foveal.tasks.latent.trunk import begun_trunk as begun_trunk
from foveal.tasks.latent.weights import card_for as card_for
