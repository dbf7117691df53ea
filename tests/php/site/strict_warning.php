<?php

declare(strict_types=1);

require __DIR__ . '/start.php';

$api = Voxgate\Shim\ApiResponder::start(strict: true);
$api->jsonSuccess(['value' => $hunter2]);
