<?php

declare(strict_types=1);

require __DIR__ . '/../answer.php';

only_get();
$period = $_GET['period'] ?? '30d';
if (!in_array($period, ['7d', '30d', '90d'], true)) {
    problem(422, 'invalid_input', 'The period is not one of 7d, 30d, 90d');
}
$figures = ['impressions' => 1200, 'clicks' => 36, 'conversions' => 4, 'spend' => 18.5];
success(['period' => $period, 'campaigns' => [['name' => 'Winter', 'channel' => 'mail'] + $figures], 'totals' => $figures]);
