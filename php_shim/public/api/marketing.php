<?php

declare(strict_types=1);

require __DIR__ . '/../../src/autoload.php';

Voxgate\Shim\Front::serve('marketing', new Voxgate\Shim\Endpoints\Marketing());
