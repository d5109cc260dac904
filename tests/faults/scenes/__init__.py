"""What the rounds of a campaign play."""

from tests.faults.scenes.disk import FullDisk, UnwritableDisk
from tests.faults.scenes.downloads import Downloads
from tests.faults.scenes.failing_disk import FailingDisk
from tests.faults.scenes.models import Models
from tests.faults.scenes.notebook import Notebook
from tests.faults.scenes.restart import Restart
from tests.faults.scenes.scene import Scene
from tests.faults.scenes.sealing import Sealing
from tests.faults.scenes.sessions import Sessions
from tests.faults.scenes.trainings import Trainings
from tests.faults.scenes.upgrade import Upgrade
from tests.faults.scenes.webhooks import WebhooksTold

SCENES: tuple[Scene, ...] = (
    Trainings(),
    Sealing(),
    Models(),
    Downloads(),
    Sessions(),
    WebhooksTold(),
    Notebook(),
    Restart(),
    Upgrade(),
    FullDisk(),
    FailingDisk(),
    UnwritableDisk(),
)
