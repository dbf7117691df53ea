<?php

declare(strict_types=1);

require __DIR__ . '/../../src/autoload.php';

Voxgate\Shim\Front::serve('health', new Voxgate\Shim\Endpoints\Health());
