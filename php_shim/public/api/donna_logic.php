<?php

declare(strict_types=1);

require __DIR__ . '/../../src/autoload.php';

Voxgate\Shim\Front::serve('donna_logic', new Voxgate\Shim\Endpoints\DonnaLogic());
